package rig

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// CPU is the processor time that the process has used, user and system, of all
// its threads, those that ended too.
//
// It is read from the process's own clock (clock_getcpuclockid(3)), to the
// nanosecond: /proc/<pid>/stat counts in hundredths of a second.
func (p *Process) CPU() (time.Duration, error) {
	const cpuclockSched = 2
	id := ^uintptr(p.cmd.Process.Pid)<<3 | cpuclockSched
	var t syscall.Timespec
	//nolint:gosec // the kernel writes what t is made for
	if _, _, failed := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&t)), 0); failed != 0 {
		return 0, fmt.Errorf("cpu time of %s: %w", p.name, failed)
	}
	return time.Duration(t.Nano()), nil
}

// Memory is how much of the process is in memory, in bytes.
func (p *Process) Memory() (int64, error) { return p.status("VmRSS:") }

// OwnMemory is Memory without pages of files, such as the executable's, which the system may drop.
func (p *Process) OwnMemory() (int64, error) { return p.status("RssAnon:") }

// Peak is the most that Memory was since ResetPeak.
func (p *Process) Peak() (int64, error) { return p.status("VmHWM:") }

// ResetPeak lets Peak begin anew.
func (p *Process) ResetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0)
}

func (p *Process) status(name string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			kib, _, _ := bytes.Cut(bytes.TrimSpace(rest), []byte{' '})
			n, err := strconv.ParseInt(string(kib), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", p.name, name)
}
