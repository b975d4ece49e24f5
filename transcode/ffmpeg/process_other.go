//go:build !linux

package ffmpeg

import (
	"syscall"
	"time"
)

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func cpuTime(int) (time.Duration, bool) { return 0, false }

func restrict(int, Options) {} // bounds are Linux's; elsewhere mediad is for development

func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }
