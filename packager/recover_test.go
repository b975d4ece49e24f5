package packager

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
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

// objects is everything in a store.
func objects(t testing.TB, s blob.Store) map[string][]byte {
	out := make(map[string][]byte)
	require.NoError(t, s.List(context.Background(), "", func(i blob.Info) error {
		r, err := s.Open(context.Background(), i.Key, 0, -1)
		if err != nil {
			return err
		}
		defer r.Close()
		b, err := io.ReadAll(r)
		out[i.Key] = b
		return err
	}))
	return out
}

func storeOf(t testing.TB, objects map[string][]byte) *memory.Store {
	s := memory.New(memory.Options{MaxBytes: 1 << 30})
	for k, b := range objects {
		require.NoError(t, s.Put(context.Background(), k, bytes.NewReader(b), int64(len(b)), blob.Meta{}))
	}
	return s
}

// restart is the next process, with what the store holds. It returns what the hub is told.
func (a *air) restart(store blob.Store) []live.Restored {
	o := a.streams.o
	o.Blobs = store
	a.store = store
	a.streams = NewStreams(o)
	restored, err := a.streams.Recover(context.Background())
	require.NoError(a.t, err)
	a.stream = a.streams.stream("demo")
	if len(restored) == 1 {
		a.session = a.stream.resume(restored[0].SessionID, true)
		require.NotNil(a.t, a.session)
		a.session.ctx = context.Background()
		a.lastID = max(a.lastID, restored[0].LastEpoch)
		a.epochs = restored[0].EpochIndex + 1
	}
	return restored
}

// tidied deletes what is to be deleted; nothing that is listed may be among it.
func (a *air) tidied() {
	a.streams.trash.empty(context.Background(), a.store, a.streams.o.Log)
	for _, name := range []string{sourceName, audioName} {
		r, ok := a.stream.Rendition(name)
		if !ok {
			continue
		}
		for _, o := range r.list {
			if o.file == nil {
				continue // it is in memory
			}
			info, err := a.store.Stat(context.Background(), o.file.key)
			require.NoError(a.t, err, "segment %d of %s", o.msn, name)
			require.LessOrEqual(a.t, o.offset+o.size, info.Size, "segment %d of %s", o.msn, name)
		}
	}
}

// published is what viewers had at a moment, with the length of the journal then.
type published struct {
	journal int64
	windows map[string]*playlist.Window
}

func TestCrashAtEveryByteOfTheJournal(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	first := broadcast(tr, 4, mediatest.VideoPattern{GOP: 30, BFrames: 1})
	again := broadcast(tr, 2, mediatest.VideoPattern{GOP: 30, BFrames: 1})

	a := newAir(t, Options{})
	var log []published
	note := func() {
		p := published{journal: a.stream.journal.out.Size(), windows: make(map[string]*playlist.Window)}
		for name, v := range a.seen {
			p.windows[name] = v.window
		}
		log = append(log, p)
	}
	note()
	a.epoch(0, tr)
	note()
	for _, u := range first {
		a.units(tr, []media.AccessUnit{u}, 0)
		note()
	}
	a.away()
	a.epoch(7*time.Second, tr)
	note()
	for _, u := range first[:90] {
		a.units(tr, []media.AccessUnit{u}, 7*time.Second)
		note()
	}
	left := objects(t, a.store)
	key := journalKey("demo", a.stream.journal.n)
	journal := left[key]
	require.Len(t, journal, int(log[len(log)-1].journal))

	step := 1
	if testing.Short() {
		step = 41
	}
	at := 0
	for cut := 0; cut <= len(journal); cut += step {
		for at+1 < len(log) && log[at+1].journal <= int64(cut) {
			at++
		}
		left[key] = journal[:cut]
		crashed(t, a, left, log[at], tr, again, cut)
		if t.Failed() {
			t.Fatalf("journal cut at byte %d of %d", cut, len(journal))
		}
	}
}

// crashed restarts with what is left and goes on.
func crashed(t *testing.T, old *air, left map[string][]byte, had published, tr [media.Kinds]*media.Track, units []media.AccessUnit, cut int) {
	b := &air{t: t, now: old.now, start: old.start, seen: make(map[string]*viewer), streams: old.streams, id: old.id, lastID: old.lastID}
	restored := b.restart(storeOf(t, left))
	defer b.streams.Close()
	b.tidied()
	for name, w := range had.windows {
		r, ok := b.stream.Rendition(name)
		require.True(t, ok, "%s is not answered", name)
		require.NoError(t, playlist.CheckWindow(w, r.Window()))
		require.True(t, r.Window().Spec().Away)
	}
	b.look()
	b.together()
	if len(restored) == 0 {
		require.Empty(t, had.windows)
		return
	}
	require.Equal(t, "s1", restored[0].SessionID)
	var last uint64
	if v := b.seen[sourceName]; v != nil {
		last = v.window.LastMSN()
		require.Equal(t, last, b.seen[audioName].window.LastMSN())
	}
	if cut%13 != 0 {
		return
	}
	at := restored[0].MediaEnd + 3*time.Second
	b.epoch(at, tr)
	b.units(tr, units, at)
	b.end()
	b.together()
	if last > 0 {
		spec := b.seen[sourceName].window.Spec()
		for _, s := range spec.Segments {
			require.Equal(t, s.MSN == last+1, s.Discontinuity && s.Epoch == b.lastID, "one discontinuity where the publisher came back")
		}
	}
}

// filling is a disk that is full once a file was opened.
type filling struct{ *fullDisk }

func (d filling) Append(ctx context.Context, key string, truncate int64) (blob.AppendFile, error) {
	f, err := d.fullDisk.Append(ctx, key, truncate)
	d.full = true
	return f, err
}

// TestMendingOnAFullDiskLeavesWhatIsThere: silence that the disk does not take costs no segment in front of it.
func TestMendingOnAFullDiskLeavesWhatIsThere(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	a := newAir(t, Options{})
	a.epoch(0, tr)
	a.units(tr, broadcast(tr, 4, mediatest.VideoPattern{GOP: 30}), 0)
	left := objects(t, a.store)
	key := journalKey("demo", a.stream.journal.n)
	journal := left[key]
	for cut := len(journal); cut > len(journal)/2; cut -= 7 {
		left[key] = journal[:cut]
		b := &air{t: t, now: a.now, start: a.start, seen: make(map[string]*viewer), streams: a.streams}
		require.Len(t, b.restart(filling{&fullDisk{Store: storeOf(t, left)}}), 1)
		b.tidied()
		b.streams.Close()
	}
}

func TestMediaThatIsGoneTakesWhatIsBeforeItAlong(t *testing.T) {
	tr := tracks(media.Rational{Num: 25, Den: 1}, 48000)
	a := newAir(t, Options{})
	a.epoch(0, tr)
	a.units(tr, broadcast(tr, 20, mediatest.VideoPattern{GOP: 50}), 0)
	left := objects(t, a.store)
	key := logKey("demo", "s1", sourceName, 0)
	left[key] = left[key][:len(left[key])/2]
	b := &air{t: t, now: a.now, start: a.start, seen: make(map[string]*viewer), streams: a.streams}
	restored := b.restart(storeOf(t, left))
	require.Len(t, restored, 1)
	_, ok := b.streams.Stream("demo")
	require.False(t, ok, "the newest segments are lost, so nothing can be listed")
	last := a.seen[sourceName].window.LastMSN()
	b.epoch(30*time.Second, tr)
	b.units(tr, broadcast(tr, 5, mediatest.VideoPattern{GOP: 50}), 30*time.Second)
	require.Greater(t, b.seen[sourceName].window.Spec().Segments[0].MSN, last, "numbers never come back")
}

func TestEndedStreamIsAnsweredAfterARestart(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 44100)
	var log bytes.Buffer
	a := newAir(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	a.epoch(0, tr)
	a.units(tr, broadcast(tr, 7, mediatest.VideoPattern{GOP: 30}), 0)
	a.end()
	a.stream.journal.stop()
	require.Equal(t, 1, strings.Count(log.String(), "stream is live"))
	last := a.seen[audioName].window.LastMSN()
	first, ok := a.streams.Oldest("demo", a.id)
	require.True(t, ok)
	require.Equal(t, a.seen[audioName].window.Spec().Segments[0].MSN, first)
	b := &air{t: t, now: a.now.Add(time.Minute), start: a.start, seen: make(map[string]*viewer), streams: a.streams}
	b.streams.o.Now = func() time.Time { return b.now }
	told := make(chan string, 100)
	b.streams.o.Archive = archiveEnds{told: told}
	require.Empty(t, b.restart(storeOf(t, objects(t, a.store))))
	require.Equal(t, "off air", <-told, "the process that ended may not have come to it")
	require.Equal(t, "end", <-told)
	again, ok := b.streams.Oldest("demo", a.id)
	require.True(t, ok)
	require.Equal(t, first, again)
	_, ok = b.streams.Oldest("demo", "another")
	require.False(t, ok)
	b.look()
	require.Equal(t, 1, strings.Count(log.String(), "stream is live"), "nor is it again")
	w := mustRendition(t, b.stream, sourceName).Window()
	require.True(t, w.Spec().Ended)
	require.NoError(t, playlist.CheckWindow(a.seen[sourceName].window, w))
	_, ok = b.stream.Multivariant(false)
	require.False(t, ok)
	b.now = b.now.Add(10 * time.Minute)
	b.streams.tidy(context.Background())
	_, ok = b.streams.Stream("demo")
	require.False(t, ok)
	_, ok = b.streams.Oldest("demo", a.id)
	require.False(t, ok)
	for key := range objects(t, b.store) {
		require.Contains(t, key, "journal")
	}

	b.session = b.stream.newSession("s2", live.Grant{Stream: "demo"}, b.now)
	b.session.ctx = context.Background()
	require.Equal(t, last+1, b.session.base)
	b.stream.journal.stop()
}

func TestJournalDamageIsNotTrusted(t *testing.T) {
	tr := tracks(media.Rational{Num: 30, Den: 1}, 48000)
	a := newAir(t, Options{})
	a.epoch(0, tr)
	a.units(tr, broadcast(tr, 5, mediatest.VideoPattern{GOP: 30}), 0)
	left := objects(t, a.store)
	key := journalKey("demo", a.stream.journal.n)
	journal := left[key]
	for at := 0; at < len(journal); at += 97 {
		broken := bytes.Clone(journal)
		broken[at] ^= 0x40
		left[key] = broken
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			b := &air{t: t, now: a.now, start: a.start, seen: make(map[string]*viewer), streams: a.streams}
			b.restart(storeOf(t, left))
			b.look()
			b.together()
			b.streams.Close()
		})
	}
}

func FuzzJournal(f *testing.F) {
	b := appendRecord(nil, recHeader, encodeJSON(headerRecord{Version: journalVersion, Stream: "demo"}))
	b = appendRecord(b, recNumbers, encodeJSON(numbersRecord{NextMSN: 7}))
	b = appendRecord(b, recSession, encodeJSON(sessionRecord{ID: "s1", Grant: live.Grant{Stream: "demo"}, BaseMSN: 5}))
	b = appendRecord(b, recConstants, encodeJSON(constantsRecord{Target: 2, PartTarget: 213340 * time.Microsecond}))
	b = appendRecord(b, recTrim, []byte{0, 0, 0, 0, 0, 0, 0, 6})
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		// Damage is found by the checksum; here every record is what its writer meant, so frame it anew.
		var framed []byte
		for len(b) > 2 {
			n := min(int(b[1]), len(b)-2)
			framed = appendRecord(framed, recordType(b[0]), b[2:2+n])
			b = b[2+n:]
		}
		store := storeOf(t, map[string][]byte{journalKey("demo", 1): framed, journalKey("demo", 2): b})
		s := NewStreams(Options{Blobs: store})
		_, err := s.Recover(context.Background())
		require.NoError(t, err)
		s.Close()
	})
}
