package transcode

import (
	"time"

	"mediad/media"
	"mediad/transcode/governor"
)

// decoding is what decoding a picture costs beside encoding one of the same size: 3.6 ns a pixel against 7.4 at veryfast.
const decoding = 0.5

// costs are in pixels a second that are encoded.
func costs(source *media.Track, rungs []media.Rung) governor.Costs {
	var c governor.Costs
	for _, r := range rungs {
		c.Rungs = append(c.Rungs, float64(r.Width)*float64(r.Height)*r.FrameRate.Float())
	}
	if len(rungs) > 0 {
		c.Base = decoding * float64(source.Width) * float64(source.Height) * rungs[0].FrameRate.Float()
	}
	return c
}

const (
	// warmUp of a child is left out: its start costs more than its seconds.
	warmUp = 2 * time.Second
	// costOver is over how much media time it is measured.
	costOver = 2 * time.Second
)

// cost measures the processor time that a run takes for a second of media: however little it gets, the cores that it needs.
type cost struct {
	run       *run
	shed      int
	cpu, made time.Duration
}

// measure is called now and then. It returns 0 as long as there is nothing new.
func (c *cost) measure(r *run, shed int, now time.Time) (cores float64) {
	if r == nil || now.Sub(r.began) < warmUp {
		c.run = nil
		return 0
	}
	cpu, ok := r.child.CPU()
	made, _, _ := r.times.made()
	if ok && c.run == r && c.shed == shed {
		if made-c.made < costOver {
			return 0
		}
		cores = float64(cpu-c.cpu) / float64(made-c.made)
	}
	*c = cost{run: r, shed: shed, cpu: cpu, made: made}
	return cores
}
