package transcode

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// load measures how busy the machine is.
type load struct {
	at          time.Time
	used, total uint64
	share       float64
}

func newLoad() load { return load{share: -1} }

// loadEvery is over how long it is measured.
const loadEvery = 2 * time.Second

// busy is the share of all cores that is in use, 0 to 1, or -1 where the system does not tell.
func (l *load) busy(now time.Time) float64 {
	if !l.at.IsZero() && now.Sub(l.at) < loadEvery {
		return l.share
	}
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		l.at, l.share = now, -1
		return l.share
	}
	used, total := cpuTimes(b)
	if !l.at.IsZero() && total > l.total {
		l.share = float64(used-min(l.used, used)) / float64(total-l.total)
	}
	l.at, l.used, l.total = now, used, total
	return l.share
}

// cpuTimes reads the first line of /proc/stat (proc(5)): user nice system idle iowait irq softirq steal; guests are in user.
func cpuTimes(stat []byte) (used, total uint64) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	for i, f := range bytes.Fields(line) {
		n, err := strconv.ParseUint(string(f), 10, 64)
		if err != nil || i > 8 {
			continue
		}
		total += n
		if i != 4 && i != 5 {
			used += n
		}
	}
	return used, total
}
