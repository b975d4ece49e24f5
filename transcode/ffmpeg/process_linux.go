package ffmpeg

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

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

// clockTick is the unit of times in /proc on all systems that Go runs on.
const clockTick = time.Second / 100

// cpuTime reads user and system time in /proc/PID/stat (proc(5)), behind the name, which may have anything in it.
func cpuTime(pid int) (used time.Duration, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	const user, system = 11, 12
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) <= system {
		return 0, false
	}
	for _, f := range fields[user : system+1] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, false
		}
		used += time.Duration(n) * clockTick
	}
	return used, true
}
