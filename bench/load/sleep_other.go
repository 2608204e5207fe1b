//go:build !linux

package load

import "time"

func preciseSleep() (restore func()) { return func() {} }

func sleep(d time.Duration) { time.Sleep(d) }
