package packager

import (
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
	"mediad/store/blob/disk"
)

// TestUnitsCostNoAllocations: a unit that ends no part allocates nothing; a part costs its playlist windows and what
// grows with it.
func TestUnitsCostNoAllocations(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	a := newAir(t, Options{})
	units := broadcast(tr, 40, mediatest.VideoPattern{GOP: 30, Size: 8000, KeySize: 30000})
	a.epoch(0, tr)
	a.units(tr, units[:len(units)/2], 0)
	at := len(units) / 2
	count := &told{}
	a.session.o.Observer = count
	total := testing.AllocsPerRun(len(units)/4, func() {
		a.session.handle(live.Event{Kind: live.EventUnit, Unit: units[at]})
		at++
	})
	parts := count.parts
	t.Logf("%.2f allocations a unit, %d parts of %d units", total, parts, len(units)/4)
	require.Less(t, total, 4.0)

	quiet := 0
	for i := at; i+1 < len(units) && quiet < 20; i++ {
		before := count.parts
		n := testing.AllocsPerRun(1, func() { // runs it twice, so two units
			a.session.handle(live.Event{Kind: live.EventUnit, Unit: units[at]})
			at++
		})
		if count.parts == before {
			quiet++
			require.Zero(t, n, "a unit that ends no part")
		}
	}
	require.Equal(t, 20, quiet)
	a.end()
}

// BenchmarkPublisherMinute packages a minute of 2.5 Mbit/s onto disk.
func BenchmarkPublisherMinute(b *testing.B) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	units := broadcast(tr, 60, mediatest.VideoPattern{GOP: 30, Size: 9000, KeySize: 40000})
	b.ReportAllocs()
	for b.Loop() {
		store, err := disk.Open(b.TempDir())
		require.NoError(b, err)
		a := newAir(b, Options{Blobs: store})
		a.session.handle(live.Event{Kind: live.EventEpoch, Epoch: &live.Epoch{ID: 1, Tracks: tr}})
		for _, u := range units {
			a.now = a.start.Add(tr[u.Kind].Timescale.Duration(u.DTS))
			a.session.handle(live.Event{Kind: live.EventUnit, Unit: u})
		}
		a.session.handle(live.Event{Kind: live.EventEnd})
		a.session.release()
		a.stream.journal.stop()
		require.NoError(b, store.Close())
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/minute")
}
