package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/media"
	"mediad/media/mediatest"
	"mediad/packager/cmaf"
	"mediad/packager/playlist"
	"mediad/packager/replay"
)

func TestMain(m *testing.M) { testx.Main(m) }

// tape is a recording that is made by hand, and what its segments have.
type tape struct {
	t       testing.TB
	rec     replay.Recording
	objects map[string][]byte // one a rendition, as logs are
	msn     uint64
	places  map[string][]int64 // of segments that went to the bucket
}

// store moves all segments to the bucket.
func (p *tape) store() {
	p.places = make(map[string][]int64)
	for i := range p.rec.Renditions {
		r := &p.rec.Renditions[i]
		for j := range r.Segments {
			s := &r.Segments[j]
			p.places[r.Name] = append(p.places[r.Name], s.Offset)
			s.Key, s.Offset, s.Stored = "", 0, true
		}
	}
	p.rec.Remote = func(rendition string, epoch int64, msn uint64) string {
		return fmt.Sprintf("%s/%d/%d", rendition, epoch, msn)
	}
}

const sessionStart = 1_790_000_000_123_456_789 // unix nanoseconds

func newTape(t testing.TB, renditions ...string) *tape {
	p := &tape{t: t, objects: make(map[string][]byte), msn: 700}
	for _, name := range renditions {
		kind := media.Video
		if name == "audio" {
			kind = media.Audio
		}
		p.rec.Renditions = append(p.rec.Renditions, replay.Rendition{Name: name, Kind: kind})
	}
	return p
}

func (p *tape) rendition(name string) *replay.Rendition {
	for i := range p.rec.Renditions {
		if p.rec.Renditions[i].Name == name {
			return &p.rec.Renditions[i]
		}
	}
	p.t.Fatalf("no rendition %s", name)
	return nil
}

// track is what follows in a rendition.
func (p *tape) track(name string, epoch int64, track *media.Track) {
	b, err := cmaf.Init(track)
	require.NoError(p.t, err)
	r := p.rendition(name)
	r.Tracks = append(r.Tracks, replay.Track{Epoch: epoch, Track: track, Init: b})
}

// segment adds units as one segment of fragments of at most six, from the session time of the first. at counts in ticks.
func (p *tape) segment(name string, msn uint64, discontinuity bool, at media.Ticks, units []media.AccessUnit) {
	p.segmentOf(name, msn, discontinuity, at, units, 6)
}

func (p *tape) segmentOf(name string, msn uint64, discontinuity bool, at media.Ticks, units []media.AccessUnit, each int) {
	r := p.rendition(name)
	t := r.Tracks[len(r.Tracks)-1]
	log, from := p.objects[name], len(p.objects[name])
	decode := at
	delay := units[0].PTS - units[0].DTS // decode times are moved by it, so that a segment's first is that of its first picture
	for len(units) > 0 {
		n := min(each, len(units))
		samples := make([]cmaf.Sample, n)
		begin := decode
		for i, u := range units[:n] {
			samples[i] = cmaf.Sample{Data: u.Data, Duration: uint32(u.Duration), CompOffset: int32(u.PTS - u.DTS - delay), Sync: u.RandomAccess}
			decode += u.Duration
		}
		log = cmaf.AppendFragment(log, 77, uint64(begin), r.Kind, samples)
		units = units[n:]
	}
	p.objects[name] = log
	scale := t.Track.Timescale
	r.Segments = append(r.Segments, replay.Segment{
		MSN: msn, Epoch: t.Epoch, Start: time.Unix(0, sessionStart).Add(scale.Duration(at)), Duration: scale.Duration(decode) - scale.Duration(at),
		Bytes: int64(len(log) - from), Key: name, Offset: int64(from), Discontinuity: discontinuity, Independent: true,
	})
}

// clip adds pictures and sound from a session time on, one GOP a segment, in the renditions named so.
func (p *tape) clip(epoch int64, at time.Duration, pattern mediatest.EncodedPattern, picture, sound string) {
	pattern.FPS, pattern.GOP = media.Rational{Num: 30000, Den: 1001}, 30
	video, audio, units := mediatest.Encoded(p.t, pattern)
	p.track(picture, epoch, video)
	if sound != "" {
		p.track(sound, epoch, audio)
	}
	var gops, sounds [][]media.AccessUnit
	for _, u := range units {
		if u.Kind == media.Video {
			if u.RandomAccess {
				gops = append(gops, nil)
			}
			gops[len(gops)-1] = append(gops[len(gops)-1], u)
		}
	}
	n := 0
	for _, u := range units {
		if u.Kind == media.Audio && n < 94 { // as long as the pictures
			if k := n * len(gops) / 94; k >= len(sounds) && k < len(gops) {
				sounds = append(sounds, nil)
			}
			sounds[len(sounds)-1] = append(sounds[len(sounds)-1], u)
			n++
		}
	}
	v, a := media.VideoTimescale.Ticks(at), media.Ticks(0)
	if sound != "" {
		a = audio.Timescale.Ticks(at - 7*time.Millisecond)
	}
	for i, gop := range gops {
		p.segment(picture, p.msn, i == 0 && epoch > 1, v, gop)
		for _, u := range gop {
			v += u.Duration
		}
		if sound != "" {
			p.segment(sound, p.msn, i == 0 && epoch > 1, a, sounds[i])
			for _, u := range sounds[i] {
				a += u.Duration
			}
		}
		p.msn++
	}
}

func (p *tape) open(m playlist.Media) (io.ReadCloser, error) {
	if m.Key == "" { // in the bucket: an object a segment
		r := p.rendition(strings.SplitN(m.Remote, "/", 2)[0])
		for i, s := range r.Segments {
			if fmt.Sprintf("%s/%d/%d", r.Name, s.Epoch, s.MSN) == m.Remote {
				m.Key, m.Offset = r.Name, p.places[r.Name][i]
			}
		}
	}
	b, ok := p.objects[m.Key]
	if !ok {
		return nil, os.ErrNotExist
	}
	if m.Offset%2 == 0 { // a file, and what can only be read forwards
		return struct {
			io.ReadSeeker
			io.Closer
		}{bytes.NewReader(b[m.Offset : m.Offset+m.Size]), io.NopCloser(nil)}, nil
	}
	return io.NopCloser(iotest.HalfReader(bytes.NewReader(b[m.Offset : m.Offset+m.Size]))), nil
}

func (p *tape) video() *replay.Video {
	v, err := replay.New(p.rec)
	require.NoError(p.t, err)
	return v
}

func (p *tape) download() (*replay.Download, []byte) {
	d, err := p.video().Download()
	require.NoError(p.t, err)
	var out bytes.Buffer
	require.NoError(p.t, d.Copy(&out, 0, d.Size, p.open))
	require.EqualValues(p.t, d.Size, out.Len(), "the size that was told before")
	return d, out.Bytes()
}

// twoEpochs is a broadcast whose publisher was away for half an hour.
func twoEpochs(t testing.TB, bFrames int) *tape {
	p := newTape(t, "source", "audio")
	p.clip(1, 3*time.Second, mediatest.EncodedPattern{BFrames: bFrames}, "source", "audio")
	p.clip(2, 31*time.Minute+123456789*time.Nanosecond, mediatest.EncodedPattern{BFrames: bFrames}, "source", "audio")
	return p
}

// parse reads the head of a file, and its fragments.
func parse(t testing.TB, file []byte) (*mp4.File, []*mp4.MediaSegment) {
	t.Helper()
	at := bytes.Index(file, []byte("moof")) - 4
	head, err := mp4.DecodeFile(bytes.NewReader(file[:at]))
	require.NoError(t, err)
	body, err := mp4.DecodeFile(bytes.NewReader(file[at:]))
	require.NoError(t, err)
	return head, body.Segments
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	require.NoError(t, err, string(out))
	return strings.TrimSpace(string(out))
}

func TestDownloadDecodes(t *testing.T) {
	for _, bFrames := range []int{0, 2} {
		p := twoEpochs(t, bFrames)
		d, file := p.download()
		require.InDelta(t, 4.004, d.Duration.Seconds(), 0.034, "the time away is closed up")
		name := filepath.Join(t.TempDir(), "download.mp4")
		require.NoError(t, os.WriteFile(name, file, 0o600))

		require.Empty(t, run(t, "ffmpeg", "-v", "warning", "-i", name, "-f", "null", "-"))
		require.Equal(t, "video,120\naudio,188", run(t, "ffprobe", "-v", "error", "-count_frames", "-show_entries",
			"stream=codec_type,nb_read_frames", "-of", "csv=p=0", name))
		// FFmpeg moves pictures with negative composition offsets back by the largest of them, here one frame, in HLS too.
		late := 0.0
		if bFrames > 0 {
			late = 1001 / 30000.
		}
		length, err := strconv.ParseFloat(run(t, "ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", name), 64)
		require.NoError(t, err)
		require.InDelta(t, p.video().Duration.Seconds(), length-late, 0.034)
		start := run(t, "ffprobe", "-v", "error", "-show_entries", "format=start_time", "-of", "csv=p=0", name)
		require.Equal(t, "0.000000", start)

		// A player that goes to 2.5 s begins with the second epoch, where that is in both tracks, and reads no more than that.
		seek := run(t, "ffmpeg", "-v", "error", "-ss", "2.5", "-i", name, "-copyts", "-c", "copy", "-map", "0", "-f", "framecrc", "-")
		for stream, want := range map[string]float64{"0,": 2.012 * 90000, "1,": 2.005 * 48000} {
			_, line, _ := strings.Cut(seek, "\n"+stream)
			field, _, _ := strings.Cut(line, ",")
			dts, err := strconv.ParseFloat(strings.TrimSpace(field), 64)
			require.NoError(t, err)
			require.InDelta(t, want, dts, 100, "stream %s", stream)
		}
		require.Empty(t, run(t, "ffmpeg", "-v", "warning", "-ss", "2.5", "-i", name, "-f", "null", "-"))
	}
}

// Sound and picture of an epoch keep their distance, decode times rise without overlap, and the samples are the replay's.
func TestDownloadKeepsTheTimes(t *testing.T) {
	p := twoEpochs(t, 2)
	d, file := p.download()
	f, fragments := parse(t, file)
	require.Len(t, f.Moov.Traks, 2)
	require.Equal(t, uint32(2), f.Moov.Traks[1].Tkhd.TrackID)
	require.InDelta(t, d.Duration.Seconds(), float64(f.Moov.Mvex.Mehd.FragmentDuration)/90000, 0.001)

	data := make(map[uint32][]byte)
	ends := make(map[uint32]uint64)
	first := make(map[uint32][]float64) // times of segments, s
	scales := map[uint32]float64{1: 90000, 2: 48000}
	number, moofs := uint32(0), 0
	for _, s := range fragments {
		for _, frag := range s.Fragments {
			require.Greater(t, frag.Moof.Mfhd.SequenceNumber, number)
			number = frag.Moof.Mfhd.SequenceNumber
			moofs++
			require.Len(t, frag.Moof.Trafs, 2)
			for _, traf := range frag.Moof.Trafs {
				id, at := traf.Tfhd.TrackID, traf.Tfdt.BaseMediaDecodeTime()
				require.GreaterOrEqual(t, at, ends[id], "track %d", id)
				samples, err := frag.GetFullSamples(f.Moov.Mvex.Trexs[id-1])
				require.NoError(t, err)
				first[id] = append(first[id], float64(at)/scales[id])
				for _, s := range samples {
					at += uint64(s.Dur)
					data[id] = append(data[id], s.Data...)
				}
				ends[id] = at
			}
		}
	}
	require.Equal(t, 4, moofs, "one a segment, for both tracks")
	require.Zero(t, min(first[1][0], first[2][0]), "time begins at 0")
	require.InDelta(t, 0.007, first[1][0]-first[2][0], 0.00003, "in step at the beginning")
	var second float64
	for _, at := range first[1] {
		if second == 0 && at > 1.95 {
			second = at
		}
	}
	var sound float64
	for _, at := range first[2] {
		if sound == 0 && at > second-0.011 {
			sound = at
		}
	}
	require.InDelta(t, 0.007, second-sound, 0.00003, "and behind the join")
	for id, name := range map[uint32]string{1: "source", 2: "audio"} {
		require.Equal(t, samplesOf(t, p.objects[name]), data[id], name)
	}

	require.Len(t, f.Sidxs, 2)
	at := f.Ftyp.Size() + f.Moov.Size()
	for i, sidx := range f.Sidxs {
		id := uint32(2 - i) // the pictures' is the last
		require.Equal(t, id, sidx.ReferenceID)
		require.Equal(t, sidx.EarliestPresentationTime, uint64(first[id][0]*scales[id]+0.5))
		require.Len(t, sidx.SidxRefs, 4)
		at += sidx.Size()
		to := at + sidx.FirstOffset
		for _, r := range sidx.SidxRefs {
			require.Equal(t, uint8(1), r.StartsWithSAP)
			require.Equal(t, "moof", string(file[to+4:to+8]))
			to += uint64(r.ReferencedSize)
		}
		require.EqualValues(t, len(file), to, "the index covers the file to its end")
	}
}

func samplesOf(t *testing.T, object []byte) (data []byte) {
	f, err := mp4.DecodeFile(bytes.NewReader(object))
	require.NoError(t, err)
	for _, s := range f.Segments {
		for _, frag := range s.Fragments {
			data = append(data, frag.Mdat.Data...)
		}
	}
	return data
}

// Any ranges of the file, one behind the other, are the file.
func TestDownloadRanges(t *testing.T) {
	p := twoEpochs(t, 2)
	d, file := p.download()
	rng := rand.New(rand.NewPCG(5, 6))
	for range 30 {
		var out bytes.Buffer
		for at := int64(0); at < d.Size; {
			n := 1 + rng.Int64N([]int64{9, 700, 20_000, d.Size}[rng.IntN(4)])
			n = min(n, d.Size-at)
			require.NoError(t, d.Copy(&out, at, n, p.open))
			at += n
			require.EqualValues(t, at, out.Len())
			if out.Len() > 1500 && rng.IntN(4) > 0 { // not each one byte by byte
				n = d.Size - at
				require.NoError(t, d.Copy(&out, at, n, p.open))
				at += n
			}
		}
		require.True(t, bytes.Equal(file, out.Bytes()))
	}
}

// Once the local disk has let it go, it is the same file.
func TestDownloadFromTheBucket(t *testing.T) {
	p := twoEpochs(t, 2)
	d, file := p.download()
	p.store()
	stored, same := p.download()
	require.True(t, bytes.Equal(file, same))
	require.Equal(t, d.ETag, stored.ETag, "who has begun can go on")
}

// The key frame of any time is found, read without the rest, and is the picture that the segment begins with.
func TestStills(t *testing.T) {
	p := twoEpochs(t, 2)
	stills, ok := p.video().Stills()
	require.True(t, ok)
	w, h := stills.Size()
	require.Equal(t, [2]int{320, 180}, [2]int{w, h})
	for at, want := range map[time.Duration]int{0: 0, 900 * time.Millisecond: 0, 1500 * time.Millisecond: 1, 2100 * time.Millisecond: 2, time.Hour: 3} {
		s := stills.At(at)
		r, err := p.open(s.Media)
		require.NoError(t, err)
		data, err := replay.ReadStill(r)
		require.NoError(t, err)
		row := p.rendition("source").Segments[want]
		require.Equal(t, row.Offset, s.Media.Offset, "at %s", at)
		require.True(t, bytes.HasPrefix(samplesOf(t, p.objects["source"][row.Offset:row.Offset+row.Bytes]), data))
		class, err := media.ClassifyUnit(s.Track, data)
		require.NoError(t, err)
		require.True(t, class.RandomAccess)
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "short": {0, 0, 0, 1}, "no size": make([]byte, 64), "no moof": []byte("\x00\x00\x00\x10mdat01234567"),
	} {
		_, err := replay.ReadStill(bytes.NewReader(bad))
		require.Error(t, err, name)
	}
	sound := newTape(t, "audio")
	sound.track("audio", 1, mediatest.AACTrack(48000, 2))
	sound.segment("audio", 5, false, 4800, mediatest.Audio(mediatest.AudioPattern{Track: mediatest.AACTrack(48000, 2), Frames: 9}))
	_, ok = sound.video().Stills()
	require.False(t, ok)
}

func TestDownloadTakesTheLargestConstantRendition(t *testing.T) {
	p := newTape(t, "480p", "source", "audio")
	small := mediatest.EncodedPattern{Width: 160, Height: 90, NoAudio: true}
	begin := p.msn
	p.clip(1, time.Second, mediatest.EncodedPattern{}, "source", "audio")
	p.clip(2, time.Minute, mediatest.EncodedPattern{Width: 640, Height: 360}, "source", "audio")
	_, err := p.video().Download()
	var change *replay.ConfigError
	require.ErrorAs(t, err, &change)
	require.Equal(t, media.Video, change.Kind)
	require.InDelta(t, 2.002, change.At.Seconds(), 0.001)
	require.Contains(t, err.Error(), "of 320x180 to ")
	require.Contains(t, err.Error(), "of 640x360")

	p.msn = begin
	p.clip(1, time.Second, small, "480p", "")
	p.clip(2, time.Minute, small, "480p", "")
	_, file := p.download()
	f, _ := parse(t, file)
	require.Equal(t, uint16(160), f.Moov.Traks[0].Mdia.Minf.Stbl.Stsd.AvcX.Width)
}

func TestDownloadOfSoundAlone(t *testing.T) {
	p := newTape(t, "audio")
	track := mediatest.AACTrack(48000, 2)
	p.track("audio", 1, track)
	units := mediatest.Audio(mediatest.AudioPattern{Track: track, Frames: 94})
	p.segment("audio", 5, false, 4800, units)
	p.segment("audio", 6, false, 4800+94*1024, units)
	d, file := p.download()
	require.InDelta(t, 2*94*1024/48000., d.Duration.Seconds(), 0.00001)
	f, _ := parse(t, file)
	require.Len(t, f.Moov.Traks, 1)
	require.Len(t, f.Sidx.SidxRefs, 2)
	require.Zero(t, f.Sidx.EarliestPresentationTime)
}

// What cannot be one fragment stays as it is: a segment with a hole in it, and one with boxes of another kind.
func TestDownloadOfSegmentsThatStayAsTheyAre(t *testing.T) {
	p := newTape(t, "source")
	track := mediatest.H264Track(320, 180, 30, 1)
	p.track("source", 1, track)
	pictures := mediatest.Video(mediatest.VideoPattern{})[:12]
	p.segment("source", 1, false, 900, pictures)
	p.segment("source", 2, false, 90_900, pictures)
	p.segment("source", 3, false, 180_900, pictures)
	r := p.rendition("source")
	log := p.objects["source"]
	second := r.Segments[1]
	tfdt := bytes.LastIndex(log[:second.Offset+second.Bytes], []byte("tfdt"))
	log[tfdt+15]++ // of the second fragment
	third := &r.Segments[2]
	p.objects["source"] = append(append(bytes.Clone(log[:third.Offset]), 0, 0, 0, 12, 's', 't', 'y', 'p', 'm', 's', 'd', 'h'), log[third.Offset:]...)
	third.Bytes += 12
	var moofs []int
	d, file := p.download()
	for i, s := range r.Segments {
		from := int64(bytes.Index(file, []byte("moof")) - 4)
		for _, before := range r.Segments[:i] {
			from += before.Bytes
		}
		moofs = append(moofs, bytes.Count(file[from:from+s.Bytes], []byte("moof")))
	}
	require.Equal(t, []int{1, 2, 2}, moofs)
	var out bytes.Buffer
	for at := int64(0); at < d.Size; at += 1000 {
		require.NoError(t, d.Copy(&out, at, min(1000, d.Size-at), p.open))
	}
	require.True(t, bytes.Equal(file, out.Bytes()))
}

// Where fields vary so much that one run would be longer than the heads that it saves, each fragment keeps its own.
func TestDownloadOfManyFields(t *testing.T) {
	p := newTape(t, "source")
	p.track("source", 1, mediatest.H264Track(320, 180, 30, 1))
	var long []media.AccessUnit
	for range 40 {
		long = append(long, media.AccessUnit{Kind: media.Video, Duration: 3000, Data: make([]byte, 500)})
	}
	for i := range long {
		long[i].RandomAccess, long[i].Disposable = i == 0, false
		long[i].Data = long[i].Data[:100+i]
	}
	for i := 36; i < 40; i++ {
		long[i].Duration = media.Ticks(2900 + i) // of the last fragment alone
		long[i].PTS = 100
	}
	log := len(p.objects["source"])
	p.segmentOf("source", 1, false, 900, long, 20)
	require.Positive(t, len(p.objects["source"])-log)
	_, file := p.download()
	_, body := parse(t, file)
	trun := body[0].Fragments[0].Moof.Traf
	require.Len(t, body[0].Fragments, 1)
	require.Len(t, trun.Truns, 2)
	samples, err := body[0].Fragments[0].GetFullSamples(nil)
	require.NoError(t, err)
	for i, s := range samples {
		require.Len(t, s.Data, len(long[i].Data))
		require.EqualValues(t, long[i].Duration, s.Dur)
		require.Equal(t, i == 0, s.IsSync())
	}
}

// A segment that is not what its row says ends the copy: the one who reads must see that something is missing.
func TestDownloadOfDamagedMedia(t *testing.T) {
	for name, harm := range map[string]func([]byte) []byte{
		"short":     func(b []byte) []byte { return b[:len(b)-1] },
		"no moof":   func(b []byte) []byte { return append(make([]byte, 8), b[8:]...) },
		"long moof": func(b []byte) []byte { b = bytes.Clone(b); b[1] = 0x40; return b },
		"empty":     func([]byte) []byte { return nil },
	} {
		p := twoEpochs(t, 2)
		d, _ := p.download()
		whole := p.open
		err := d.Copy(io.Discard, 0, d.Size, func(m playlist.Media) (io.ReadCloser, error) {
			r, err := whole(m)
			if err != nil || m.Key != "source" || m.Offset == 0 {
				return r, err
			}
			b, err := io.ReadAll(r)
			return io.NopCloser(bytes.NewReader(harm(b))), err
		})
		require.Error(t, err, name)
	}
	p := twoEpochs(t, 2)
	d, _ := p.download()
	gone := errors.New("gone")
	require.ErrorIs(t, d.Copy(io.Discard, 9999, d.Size-9999, func(playlist.Media) (io.ReadCloser, error) { return nil, gone }), gone)
	require.ErrorIs(t, d.Copy(iotestWriter{gone}, 0, d.Size, p.open), gone)
}

type iotestWriter struct{ err error }

func (w iotestWriter) Write([]byte) (int, error) { return 0, w.err }

// A day and more of video has more segments than an index can have entries.
func TestDownloadOfVeryLongVideo(t *testing.T) {
	p := newTape(t, "source")
	p.track("source", 1, mediatest.H264Track(320, 180, 30, 1))
	r := p.rendition("source")
	for i := range 70_000 {
		r.Segments = append(r.Segments, replay.Segment{
			MSN: uint64(i), Epoch: 1, Start: time.Unix(0, sessionStart).Add(time.Duration(i) * 2 * time.Second), Duration: 2 * time.Second,
			Bytes: 1 << 20, Key: "source", Independent: true,
		})
	}
	d, err := p.video().Download()
	require.NoError(t, err)
	require.Equal(t, 140_000*time.Second, d.Duration)
	var head bytes.Buffer
	err = d.Copy(&head, 0, 2<<20, func(playlist.Media) (io.ReadCloser, error) { return nil, io.ErrClosedPipe })
	require.ErrorIs(t, err, io.ErrClosedPipe)
	f, err := mp4.DecodeFile(bytes.NewReader(head.Bytes()))
	require.NoError(t, err)
	require.Len(t, f.Sidx.SidxRefs, 35_000)
	require.EqualValues(t, 2<<20, f.Sidx.SidxRefs[34_999].ReferencedSize)
	require.Equal(t, int64(head.Len())+70_000<<20, d.Size, fmt.Sprint(head.Len()))
}
