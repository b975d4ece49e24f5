package metrics

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
)

// Disk registers how much of a folder's disk is free, and how much it is, which space reads at each scrape. dir is a word for it, such as "data".
// What cannot be read is no number.
func Disk(r prometheus.Registerer, dir string, space func() (free, total uint64, err error)) {
	gauge := func(name, help string, of func(free, total uint64) uint64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: name, Help: help, ConstLabels: prometheus.Labels{"dir": dir},
		}, func() float64 {
			free, total, err := space()
			if err != nil {
				return math.NaN()
			}
			return float64(of(free, total))
		})
	}
	r.MustRegister(
		gauge("disk_free_bytes", "What is free on the disk of a folder.", func(free, _ uint64) uint64 { return free }),
		gauge("disk_total_bytes", "How large the disk of a folder is.", func(_, total uint64) uint64 { return total }),
	)
}

// Memory registers how much memory the process may have, which limit reads at each scrape.
func Memory(r prometheus.Registerer, limit func() (uint64, error)) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "memory_limit_bytes", Help: "How much memory the process may have: the machine's, or what it is allowed of it.",
	}, func() float64 {
		n, err := limit()
		if err != nil {
			return math.NaN()
		}
		return float64(n)
	}))
}
