package packager

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/live"
	"mediad/media"
	"mediad/media/mediatest"
	"mediad/packager/playlist"
	"mediad/store/blob"
	"mediad/store/blob/memory"
)

// writtenAt is a store whose objects were written at that moment.
func writtenAt(t testing.TB, at time.Time, objects map[string][]byte) *memory.Store {
	s := memory.New(memory.Options{MaxBytes: 1 << 30, Now: func() time.Time { return at }})
	for k, b := range objects {
		require.NoError(t, s.Put(context.Background(), k, bytes.NewReader(b), int64(len(b)), blob.Meta{}))
	}
	return s
}

// after is the next process, which starts at that moment with what is left.
func (a *air) after(at time.Time, left map[string][]byte) (*air, []live.Restored) {
	b := &air{t: a.t, now: at, start: a.start, seen: make(map[string]*viewer), streams: a.streams, id: a.id, lastID: a.lastID}
	b.streams.o.Now = func() time.Time { return b.now }
	restored := b.restart(writtenAt(a.t, a.now, left))
	return b, restored
}

// goOn begins the next session and returns its first number. Until it has a segment the last one's playlists stand.
func (a *air) goOn(tr [media.Kinds]*media.Track) uint64 {
	at := a.now.Sub(a.start)
	a.session = a.stream.newSession("s2", live.Grant{StreamID: "1", Stream: "demo"}, a.start)
	a.session.ctx = context.Background()
	a.lastID = max(a.lastID+1, a.now.UnixMilli())
	a.session.handle(live.Event{Kind: live.EventEpoch, Epoch: &live.Epoch{ID: a.lastID, Tracks: tr, Start: at, StartedAt: a.now}})
	for _, u := range broadcast(tr, 5, mediatest.VideoPattern{GOP: 30}) {
		shift := tr[u.Kind].Timescale.Ticks(at)
		u.DTS, u.PTS = u.DTS+shift, u.PTS+shift
		a.session.handle(live.Event{Kind: live.EventUnit, Unit: u})
	}
	a.seen = make(map[string]*viewer)
	a.look()
	return a.seen[sourceName].window.Spec().Segments[0].MSN
}

func TestNumbersNeverComeBackWhereTheDiskWasFull(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	disk := &fullDisk{Store: memory.New(memory.Options{MaxBytes: 1 << 30})}
	a := newAir(t, Options{Blobs: disk})
	units := broadcast(tr, 40, mediatest.VideoPattern{GOP: 30})
	a.epoch(0, tr)
	a.units(tr, units[:len(units)/2], 0)
	disk.full = true
	a.units(tr, units[len(units)/2:], 0)
	last := a.seen[sourceName].window.LastMSN()

	b, _ := a.after(a.now.Add(2*time.Second), objects(t, disk.Store))
	if b.session != nil { // it goes on
		b.epoch(45*time.Second, tr)
		b.units(tr, broadcast(tr, 5, mediatest.VideoPattern{GOP: 30}), 45*time.Second)
		require.Greater(t, b.session.renditions[media.Video].list[0].msn, last)
		return
	}
	require.Greater(t, b.goOn(tr), last)
}

func TestNumbersNeverComeBackAfterACrashOfTheMachine(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	a := newAir(t, Options{Boot: "first"})
	a.epoch(0, tr)
	a.units(tr, broadcast(tr, 20, mediatest.VideoPattern{GOP: 30}), 0)
	left := objects(t, a.store)
	// What of the last seconds was not synced is lost, at the end of a record by chance.
	key := journalKey("demo", a.stream.journal.n)
	whole := left[key]
	for rest := whole; len(rest) > 2000; {
		_, _, rest, _ = nextRecord(rest)
		left[key] = whole[:len(whole)-len(rest)]
	}
	last, lastID := a.seen[sourceName].window.LastMSN(), a.lastID

	a.streams.o.Boot = "second"
	b, restored := a.after(a.now.Add(30*time.Second), left)
	require.Empty(t, restored, "more may have been published than is known")
	b.look()
	w := mustRendition(t, b.stream, sourceName).Window()
	require.Less(t, w.LastMSN(), last, "the test is about lost records")
	require.True(t, w.Spec().Ended)
	require.Greater(t, b.goOn(tr), last)
	require.Greater(t, b.lastID, lastID)
	b.together()
}

func TestSessionOutlivesARebootInGoodOrder(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	a := newAir(t, Options{Boot: "first"})
	a.epoch(0, tr)
	a.units(tr, broadcast(tr, 10, mediatest.VideoPattern{GOP: 30}), 0)
	a.session.leave()
	a.stream.journal.leave(a.session.awayAt)
	a.streams.o.Boot = "second"
	_, restored := a.after(a.now.Add(30*time.Second), objects(t, a.store))
	require.Len(t, restored, 1)
	require.Equal(t, a.now, restored[0].AwaySince.In(time.UTC))
}

func TestClockThatWasSetDoesNotShortenTheResumeWindow(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	a := newAir(t, Options{})
	a.epoch(0, tr)
	a.units(tr, broadcast(tr, 5, mediatest.VideoPattern{GOP: 30}), 0)
	a.now = a.now.Add(time.Hour)
	a.units(tr, broadcast(tr, 6, mediatest.VideoPattern{GOP: 30})[386:], 0)
	_, restored := a.after(a.now.Add(time.Second), objects(t, a.store))
	require.Len(t, restored, 1)
	require.Equal(t, a.now, restored[0].AwaySince.In(time.UTC))
}

func TestRowsThatTheSinkDidNotTakeAreSentByTheNextProcess(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	sink := &rowSink{}
	a := newAir(t, Options{Segments: sink})
	units := broadcast(tr, 20, mediatest.VideoPattern{GOP: 30})
	a.epoch(0, tr)
	a.units(tr, units[:len(units)/2], 0)
	a.streams.rows.flush()
	taken := sink.len()
	require.NotZero(t, taken)
	sink.fail = true
	a.units(tr, units[len(units)/2:], 0)
	a.streams.rows.flush()
	require.Equal(t, taken, sink.len())

	sink.fail = false
	b, _ := a.after(a.now.Add(time.Second), objects(t, a.store))
	b.streams.rows.flush()
	for _, r := range b.session.renditions[:media.Kinds] {
		for _, o := range r.list {
			n := 0
			for _, row := range sink.rows {
				if row.Rendition == r.name && row.MSN == o.msn {
					n++
					require.Equal(t, o.size, row.Bytes)
				}
			}
			require.Equal(t, 1, n, "%s %d", r.name, o.msn)
		}
	}
	require.Greater(t, sink.len(), taken)
}

// TestJournalKeepsWhatTheSinkHasNotTaken: however long ago the session was over.
func TestJournalKeepsWhatTheSinkHasNotTaken(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	for _, given := range []bool{false, true} {
		sink := &rowSink{}
		sink.fail = true
		a := newAir(t, Options{Segments: sink, Recorded: true})
		a.session.grant.Record = true
		a.epoch(0, tr)
		a.units(tr, broadcast(tr, 20, mediatest.VideoPattern{GOP: 30}), 0)
		a.end()
		a.stream.journal.stop()
		rows := len(a.streams.rows.rows)
		require.NotZero(t, rows)
		a.streams.rows.flush()
		if given {
			a.stream.giveUpRows()
			a.streams.rows = rowBatch{sink: sink, log: a.streams.rows.log}
		}
		a.now = a.now.Add(11 * time.Minute)
		a.streams.tidy(context.Background())
		sink.fail = false
		left := objects(t, a.store)
		b, restored := a.after(a.now, left)
		require.Empty(t, restored)
		b.streams.rows.flush()
		require.Equal(t, rows, sink.len())
	}
}

func TestJournalOfAStreamThatIsOverIsSmall(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	a := newAir(t, Options{})
	a.epoch(0, tr)
	a.units(tr, broadcast(tr, 20, mediatest.VideoPattern{GOP: 30}), 0)
	a.end()
	a.stream.journal.stop()
	last := a.seen[sourceName].window.LastMSN()
	left := objects(t, a.store)
	whole := left[journalKey("demo", a.stream.journal.n)]

	small := func(s *air) map[string][]byte {
		s.streams.tidy(context.Background())
		left := objects(t, s.store)
		require.Len(t, left, 1, "nothing but the journal")
		for _, b := range left {
			require.Less(t, len(b), min(len(whole), 400))
		}
		return left
	}
	t.Run("in the same process", func(t *testing.T) {
		a.now = a.now.Add(11 * time.Minute)
		left := small(a)
		b, restored := a.after(a.now, left)
		require.Empty(t, restored)
		b.streams.tidy(context.Background())
		require.Equal(t, left, objects(t, b.store), "once is enough")
		require.Equal(t, last+1, b.goOn(tr))
	})
	t.Run("in the next", func(t *testing.T) {
		b, restored := a.after(a.now, left)
		require.Empty(t, restored)
		small(b)
		require.Equal(t, last+1, b.goOn(tr))
	})
}

// slowDisk is a store whose files take their time to sync.
type slowDisk struct {
	*memory.Store
	syncing, done chan struct{}
}

type slowFile struct {
	blob.AppendFile
	d *slowDisk
}

func (d *slowDisk) Append(ctx context.Context, key string, truncate int64) (blob.AppendFile, error) {
	f, err := d.Store.Append(ctx, key, truncate)
	return &slowFile{f, d}, err
}

func (f *slowFile) Sync() error {
	f.d.syncing <- struct{}{}
	<-f.d.done
	return nil
}

func TestSyncingTheJournalHoldsUpNobody(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	disk := &slowDisk{Store: memory.New(memory.Options{MaxBytes: 1 << 30}), syncing: make(chan struct{}), done: make(chan struct{})}
	a := newAir(t, Options{Blobs: disk})
	units := broadcast(tr, 8, mediatest.VideoPattern{GOP: 30})
	a.epoch(0, tr)
	a.units(tr, units[:len(units)/2], 0)
	var janitor sync.WaitGroup
	janitor.Go(a.stream.journal.sync)
	<-disk.syncing
	live := make(chan struct{})
	go func() {
		defer close(live)
		a.units(tr, units[len(units)/2:], 0)
	}()
	select {
	case <-live:
	case <-time.After(10 * time.Second):
		t.Error("the session waits for the disk")
	}
	close(disk.done)
	janitor.Wait()
	<-live
	require.NotNil(t, a.stream.journal.out)
}

func TestJournalThatCannotBeWrittenAnewGoesOn(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	disk := &noRoom{Store: memory.New(memory.Options{MaxBytes: 1 << 30})}
	a := newAir(t, Options{Blobs: disk})
	a.epoch(0, tr)
	units := broadcast(tr, 20, mediatest.VideoPattern{GOP: 30})
	a.units(tr, units[:len(units)/2], 0)
	disk.full = true
	a.stream.journal.limit = 0 // due
	a.units(tr, units[len(units)/2:], 0)
	b, restored := a.after(a.now.Add(time.Second), objects(t, disk.Store))
	require.Len(t, restored, 1)
	require.GreaterOrEqual(t, mustRendition(t, b.stream, sourceName).Window().LastMSN(), a.seen[sourceName].window.LastMSN())
	require.NoError(t, playlist.CheckWindow(a.seen[sourceName].window, mustRendition(t, b.stream, sourceName).Window()))
}

// noRoom is a store that takes no new objects while it is full, but what is open grows.
type noRoom struct {
	*memory.Store
	full bool
}

func (d *noRoom) Put(ctx context.Context, key string, r io.Reader, size int64, m blob.Meta) error {
	if d.full {
		return errors.Join(blob.ErrNoSpace, errors.New("no room"))
	}
	return d.Store.Put(ctx, key, r, size, m)
}
