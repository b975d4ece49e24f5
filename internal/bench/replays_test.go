//go:build bench

package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
	"mediad/store/blob"
	"mediad/store/blob/s3"
	"mediad/store/blob/s3test"
	"mediad/store/db"
)

// shelved writes a replay of that length into a data folder: segments of 2 s in five renditions, which all lie in one file.
func shelved(t *testing.T, dir string, session string, length time.Duration) (video string) {
	t.Helper()
	d, err := db.Open(t.Context(), db.Options{Path: filepath.Join(dir, "mediad.db")})
	require.NoError(t, err)
	defer d.Close()
	of, err := d.Read(t.Context()).FindStreamBySlug("main")
	require.NoError(t, err)
	const size = 320_000
	key := "live/main/" + session + "/source-0.m4s"
	file := filepath.Join(dir, "blobs", filepath.FromSlash(key))
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, bytes.Repeat([]byte{7}, size), 0o600))
	began := time.Now().Add(-24 * time.Hour)
	write := func(fn func(db.Queries) error) { require.NoError(t, d.Tx(t.Context(), fn)) }
	write(func(q db.Queries) error {
		return q.SaveSession(db.Session{ID: session, StreamID: of.ID, StartedAt: db.At(began)})
	})
	write(func(q db.Queries) error {
		return q.EndSession(session, db.At(began.Add(length)), "publisher_stopped")
	})
	for _, name := range []string{"source", "720p", "480p", "360p", "audio"} {
		track, kind := mediatest.H264Track(1280, 720, 30, 1), media.Video
		if name == "audio" {
			track, kind = mediatest.AACTrack(48000, 2), media.Audio
		}
		write(func(q db.Queries) error {
			return q.InsertTracks([]db.SessionTrack{{
				SessionID: session, Rendition: name, Epoch: 1, Kind: kind.String(), Codec: track.Codec.String(), Config: track.Config, Init: make([]byte, 700),
			}})
		})
		const each = 2 * time.Second
		var rows []db.Segment
		for i := range int(length / each) {
			rows = append(rows, db.Segment{
				SessionID: session, Rendition: name, MSN: int64(1000 + i), StreamID: of.ID, Epoch: 1, StartNS: began.Add(time.Duration(i) * each).UnixNano(),
				DurationNS: int64(each), BlobKey: key, Bytes: size, Independent: true, Target: 2,
			})
		}
		for len(rows) > 0 {
			n := min(len(rows), 5000)
			write(func(q db.Queries) error { return q.InsertSegments(rows[:n]) })
			rows = rows[n:]
		}
	}
	video, err = db.NewID()
	require.NoError(t, err)
	write(func(q db.Queries) error {
		err := q.BeginRecording(db.Recording{SessionID: session, StreamID: of.ID, State: db.RecordingMade, UpdatedAt: db.At(time.Now())})
		if err != nil {
			return err
		}
		_, err = q.InsertReplay(db.Video{
			ID: video, OwnerID: of.OwnerID, StreamID: &of.ID, SessionID: &session, Visibility: "public", State: db.VideoReady, Pictures: db.PicturesNone,
			DurationMS: length.Milliseconds(), Version: 1,
		})
		return err
	})
	return video
}

// TestReplayStart is the time from the request of a replay's first playlist to the first segment's last byte: what nobody has asked for yet,
// and the next viewer's.
func TestReplayStart(t *testing.T) {
	dir := t.TempDir()
	first, err := StartMediad(binary, dir) // it makes the database
	require.NoError(t, err)
	t.Cleanup(first.Stop)
	waitHTTP(t, first)
	first.Stop()
	lengths := []time.Duration{2 * time.Hour, 12 * time.Hour}
	videos := make([]string, len(lengths))
	for i, length := range lengths {
		videos[i] = shelved(t, dir, fmt.Sprintf("0198f2a0-0000-7000-8000-%012d", i), length)
	}
	p, err := StartMediad(binary, dir, "MEDIAD_RECORD_MIN_FREE=0%")
	require.NoError(t, err)
	t.Cleanup(p.Stop)
	p.Name = "mediad"
	waitHTTP(t, p)
	start := func(video string) time.Duration {
		began := time.Now()
		k := &conn{host: p.HTTP}
		defer k.close()
		get := func(path string) string {
			body, err := k.get(context.Background(), path, true, &Counts{})
			require.NoError(t, err)
			return string(body)
		}
		base := "/vod/" + video + "/"
		require.Contains(t, get(base+"index.m3u8"), "source/index.m3u8")
		list := get(base + "source/index.m3u8")
		get(base + "source/init_1.mp4")
		at := strings.Index(list, "seg_")
		require.Positive(t, at)
		name, _, _ := strings.Cut(list[at:], "\n")
		require.NotEmpty(t, get(base+"source/"+name))
		return time.Since(began)
	}
	var shortest float64
	for i, length := range lengths {
		before, cpu := p.RSS(), p.CPU()
		cold := start(videos[i]).Seconds() * 1000
		grown, used := float64(p.RSS()-before)/(1<<20), (p.CPU() - cpu).Seconds()
		warm := start(videos[i]).Seconds() * 1000
		if i == 0 {
			shortest = cold
		}
		row(fmt.Sprintf("start of a replay of %s, first", length), p, cold, "ms", cold)
		row(fmt.Sprintf("start of a replay of %s, next", length), p, warm, "ms", warm)
		fmt.Printf("BENCH    %.2f of that of the shortest; %.1f MiB more memory, %.2f s of processor time\n", cold/shortest, grown, used)
	}
}

// TestWriteBehind is what the bucket costs the live server: 20 streams that MinIO takes, beside the same without a bucket.
func TestWriteBehind(t *testing.T) {
	const streams, window = 20, 30 * time.Second
	measure := func(name string, env ...string) (cpu, memory float64) {
		p, err := StartMediad(binary, t.TempDir(), env...)
		require.NoError(t, err)
		p.Name = name
		defer p.Stop()
		waitHTTP(t, p)
		pass(2 * time.Second)
		idle := p.RSS()
		var publishers []*Process
		for i := range streams {
			publishers = append(publishers, publish(t, p, fmt.Sprintf("bench%d", i)))
		}
		for i := range streams {
			waitPlaylist(t, p, fmt.Sprintf("bench%d", i))
		}
		pass(10 * time.Second)
		cpu = cpuOver(p.Process, window).Minutes() / window.Minutes() * 60 / streams
		memory = float64(p.RSS()-idle) / streams / (1 << 20)
		for _, one := range publishers {
			one.Stop()
		}
		return cpu, memory
	}
	minio := s3test.Start(t, s3test.MinIO)
	store, err := s3.Open(t.Context(), s3.Options{
		Endpoint: minio.Endpoint, Bucket: "live", Region: s3test.Region, AccessKey: minio.AccessKey, SecretKey: minio.SecretKey, Addressing: "path",
	})
	require.NoError(t, err)
	defer store.Close()
	require.NoError(t, store.MakeBucket(t.Context()))
	cpu, memory := measure("mediad", "MEDIAD_BLOB_URL=s3://live?path_style=true&region="+s3test.Region+"&endpoint="+minio.Endpoint,
		"MEDIAD_BLOB_ACCESS_KEY="+minio.AccessKey, "MEDIAD_BLOB_SECRET_KEY="+minio.SecretKey)
	objects := 0
	require.NoError(t, store.List(t.Context(), "live/", func(blob.Info) error { objects++; return nil }))
	require.Greater(t, objects, streams*10)
	aloneCPU, aloneMemory := measure("mediad without a bucket")
	with, without := &Peer{Process: &Process{Name: "mediad"}}, &Peer{Process: &Process{Name: "mediad without a bucket"}}
	row("CPU a publisher-minute, bucket", with, cpu, "s", cpu)
	row("CPU a publisher-minute, bucket", without, aloneCPU, "s", cpu)
	row("memory a stream, bucket", with, memory, "MiB", memory)
	row("memory a stream, bucket", without, aloneMemory, "MiB", memory)
	fmt.Printf("BENCH    %d objects were stored\n", objects)
}
