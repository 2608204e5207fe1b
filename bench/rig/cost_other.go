//go:build !linux

package rig

import (
	"errors"
	"syscall"
	"time"
)

func dieWithParent() *syscall.SysProcAttr { return nil }

var errLinux = errors.New("what a process costs can be read on Linux only")

// CPU is the processor time that the process has used. On Linux only.
func (p *Process) CPU() (time.Duration, error) { return 0, errLinux }

// Memory is how much of the process is in memory, in bytes. On Linux only.
func (p *Process) Memory() (int64, error) { return 0, errLinux }

// OwnMemory is Memory without pages of files. On Linux only.
func (p *Process) OwnMemory() (int64, error) { return 0, errLinux }

// Peak is the most that Memory was since ResetPeak. On Linux only.
func (p *Process) Peak() (int64, error) { return 0, errLinux }

// ResetPeak lets Peak begin anew. On Linux only.
func (p *Process) ResetPeak() error { return errLinux }
