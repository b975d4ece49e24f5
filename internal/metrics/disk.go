package metrics

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
)

// Disk registers the free space of a folder's disk, which free reads at each scrape. dir is a word for it, such as "data". What
// cannot be read is no number.
func Disk(r prometheus.Registerer, dir string, free func() (uint64, error)) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "disk_free_bytes", Help: "What is free on the disk of a folder.", ConstLabels: prometheus.Labels{"dir": dir},
	}, func() float64 {
		n, err := free()
		if err != nil {
			return math.NaN()
		}
		return float64(n)
	}))
}
