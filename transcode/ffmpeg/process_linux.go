package ffmpeg

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes give the child a process group of its own and let it die with us.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// restrict bounds what the child may take. What the system refuses is left as it is: the child is no worse than before.
func restrict(pid int, o Options) {
	if o.Nice > 0 {
		_ = unix.Setpriority(unix.PRIO_PROCESS, pid, min(o.Nice, 19))
	}
	if o.MaxMemory > 0 {
		limit := unix.Rlimit{Cur: uint64(o.MaxMemory), Max: uint64(o.MaxMemory)}
		_ = unix.Prlimit(pid, unix.RLIMIT_AS, &limit, nil)
	}
	none := unix.Rlimit{}
	_ = unix.Prlimit(pid, unix.RLIMIT_CORE, &none, nil)
}

// killGroup ends the child and all that it started.
func killGroup(pid int) { _ = unix.Kill(-pid, unix.SIGKILL) }
