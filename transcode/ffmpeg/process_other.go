//go:build !linux

package ffmpeg

import "syscall"

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func restrict(int, Options) {} // bounds are Linux's; elsewhere mediad is for development

func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }
