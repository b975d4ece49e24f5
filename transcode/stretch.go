package transcode

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"mediad/media"
	"mediad/transcode/ffmpeg"
	"mediad/transcode/nut"
)

// Stretch is a stretch of a recording that begins or ends between two key frames.
type Stretch struct {
	// Track is how Units are decoded: H.264, H.265, AV1 or VP9. What is made has the same codec and size.
	Track *media.Track
	// Units are in decoding order. The first is a random access unit, at or before From.
	Units []media.AccessUnit
	// From and To are the PTS of the first picture that is made and of the first that is not.
	From, To media.Ticks
	// MaxBitrate is in bits a second, over two seconds. Default 6 Mbit/s.
	MaxBitrate int64
	// FFmpeg is the program. Default ffmpeg, looked up in PATH.
	FFmpeg string
	Log    *slog.Logger // of what FFmpeg says; nil: nobody
}

// ErrStretch says that FFmpeg did not make every picture of a stretch at its time.
var ErrStretch = errors.New("transcode: a stretch did not come out as it went in")

// stretchTakes is how long FFmpeg may take nothing of its input: it encodes what it has meanwhile, beside all that is live.
const stretchTakes = 30 * time.Second

// EncodeStretch makes the pictures of a stretch anew, each at its time, the first one an IDR and none of them reordered.
// It returns how they are decoded and the pictures in order: the source's pictures can be decoded so as well. ctx bounds the time it takes.
// ErrNoEncoder, wrapped: it is not done with such pictures. What else FFmpeg cannot do, as an encoder is not built in, is an error in its words.
func EncodeStretch(ctx context.Context, s Stretch) (*media.Track, []media.AccessUnit, error) {
	var want []media.Ticks
	for i := range s.Units {
		if u := &s.Units[i]; u.PTS >= s.From && u.PTS < s.To {
			want = append(want, u.PTS)
		}
	}
	slices.Sort(want)
	if len(want) == 0 || !s.Units[0].RandomAccess {
		return nil, nil, fmt.Errorf("%w: no picture, or none to begin with", ErrStretch)
	}
	recode, err := newRecoder(s.Track)
	if err != nil {
		return nil, nil, err
	}
	header, err := nutHeader(s.Track)
	if err != nil {
		return nil, nil, err
	}
	// NUT has no negative times, and what follows a key frame may be presented before it.
	shift := offset - s.Units[0].PTS
	child, err := ffmpeg.Start(ffmpeg.Options{Path: s.FFmpeg, Args: s.args(shift, recode), Pipes: 1, WriteTimeout: stretchTakes, Log: s.Log})
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, child.Kill)
	defer stop()
	var made []media.AccessUnit
	var readErr error
	var reading sync.WaitGroup
	reading.Go(func() {
		made, readErr = s.read(child.Pipe(0), recode, shift, len(want))
		_, _ = io.Copy(io.Discard, child.Pipe(0)) // a full pipe would stop the child
	})
	_, writeErr := child.Write(header)
	var b []byte
	for i := 0; i < len(s.Units) && writeErr == nil; i++ {
		u := &s.Units[i]
		if u.PTS+shift < 0 {
			continue
		}
		b = nut.AppendFrameHeader(b[:0], int64(u.PTS+shift)*marks, u.RandomAccess, len(u.Data))
		_, writeErr = child.Write(append(b, u.Data...))
	}
	child.CloseInput()
	select {
	case <-child.Done():
	case <-ctx.Done():
		child.Kill()
	}
	reading.Wait()
	child.Close()
	switch err := child.Err(); {
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case err != nil:
		return nil, nil, err
	case readErr != nil:
		return nil, nil, readErr
	case len(made) != len(want): // with all it needs it reads no further, and that is no error
		return nil, nil, fmt.Errorf("%w: %d pictures instead of %d: %w", ErrStretch, len(made), len(want), cmp.Or(writeErr, io.EOF))
	}
	for i := range made {
		if made[i].PTS != want[i] {
			return nil, nil, fmt.Errorf("%w: picture %d is %d ticks off", ErrStretch, i, made[i].PTS-want[i])
		}
	}
	return recode.track(), made, nil
}

// read reads what FFmpeg makes, at most so many pictures and one.
func (s *Stretch) read(pipe io.Reader, recode recoder, shift media.Ticks, most int) ([]media.AccessUnit, error) {
	d, err := nut.NewReader(pipe)
	if err != nil {
		return nil, err
	}
	stream := d.Streams()[0]
	scale := media.Timescale(stream.TimeBase.Den)
	var made []media.AccessUnit
	for len(made) <= most {
		f, err := d.Next()
		if errors.Is(err, io.EOF) {
			return made, nil
		}
		if err != nil {
			return nil, err
		}
		data, err := recode.picture(stream.Extra, f.Data, f.Key)
		if err != nil {
			return nil, err
		}
		at := media.Rescale(media.Ticks(f.PTS)*media.Ticks(stream.TimeBase.Num), scale, media.VideoTimescale) - shift
		made = append(made, media.AccessUnit{Kind: media.Video, DTS: at, PTS: at, RandomAccess: f.Key, Data: data})
	}
	return made, nil
}

// args is the command line.
func (s *Stretch) args(shift media.Ticks, recode recoder) []string {
	bits := s.MaxBitrate
	if bits <= 0 {
		bits = 6_000_000
	}
	args := append(ffmpeg.Protect(), "-probesize", "32", "-analyzeduration", "0", "-copyts")
	args = append(append(args, ffmpeg.ProtectInput()...), "-f", "nut", "-i", "pipe:0", "-map", "0:v:0", "-an", "-sn", "-dn",
		"-vf", fmt.Sprintf("settb=1/%d,trim=start_pts=%d:end_pts=%d", media.VideoTimescale, s.From+shift, s.To+shift))
	args = append(args, recode.args(bits)...)
	return append(args, "-fps_mode", "passthrough", "-enc_time_base", fmt.Sprintf("1:%d", media.VideoTimescale), "-f", "nut", "pipe:3")
}
