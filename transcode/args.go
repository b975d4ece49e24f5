package transcode

import (
	"fmt"
	"strconv"
	"strings"

	"mediad/media"
	"mediad/transcode/ffmpeg"
)

// pace is how a child keeps time.
type pace uint8

const (
	// paceSource: each picture in comes out with its own time.
	paceSource pace = iota
	// paceConstant: the rung's constant rate is made of whatever comes.
	paceConstant
)

// job is what one child does.
type job struct {
	source  *media.Track
	rungs   []media.Rung // heaviest first: pipe:3, pipe:4, …
	preset  string       // of libx264
	encoder ffmpeg.Encoder
	pace    pace
	leads   bool         // key frames are where the first picture is and each gopSeconds from there, not at the source's
	from    *media.Ticks // of the input, the time of the first picture that is made; nil: all are
	moved   media.Ticks  // subtracted from the times of the input, where from is set
}

// gopSeconds is the longest that a rung goes without an IDR, whatever the source does.
const gopSeconds = 2

// args is the command line of a job: NUT on stdin, NUT on one pipe a rung. How each flag was found: docs/decisions/0006.
func (j *job) args() []string {
	args := append(ffmpeg.Protect(), j.encoder.Device()...)
	args = append(args, "-flags", "low_delay", "-probesize", "32", "-analyzeduration", "0", "-threads", "1", "-copyts")
	args = append(append(args, ffmpeg.ProtectInput()...), "-f", "nut", "-i", "pipe:0")
	for i, r := range j.rungs {
		args = append(args, j.rung(i, r)...)
		args = append(args, "-flush_packets", "1", "-f", "nut", "pipe:"+strconv.Itoa(3+i))
	}
	return args
}

// marks is into how many a tick is divided in a child's input. A picture's place in its tick is its mark: how many of the job's rungs, the
// first ones, are not made of it. So rungs go in a running child, from any picture on. Half of them are used: rounded, the time is as it was.
const marks = 2 * ffmpeg.MaxPipes

func (j *job) rung(i int, r media.Rung) []string {
	bits := strconv.FormatInt(r.Bitrate, 10)
	gop := int(gopSeconds*r.FrameRate.Float() + 0.5)
	args := []string{"-map", "0:v:0", "-an", "-sn", "-dn",
		"-vf", fmt.Sprintf("select=lte(mod(pts\\,%d)\\,%d),settb=1/%d,", marks, i, media.VideoTimescale) + j.filter(r)}
	args = append(args, j.encoder.Flags(j.preset)...)
	args = append(args, "-bf", "0", "-g", strconv.Itoa(gop), "-b:v", bits, "-maxrate", bits, "-bufsize", bits)
	// The rate in the parameter sets is the plan's, not what FFmpeg guesses of the first pictures: two children write the same.
	args = append(args, "-bsf:v", fmt.Sprintf("h264_metadata=tick_rate=%d/%d:fixed_frame_rate_flag=1", 2*r.FrameRate.Num, r.FrameRate.Den))
	if j.pace == paceConstant {
		rate := fmt.Sprintf("%d/%d", r.FrameRate.Num, r.FrameRate.Den)
		return append(j.force(args, "source_no_drop"), "-fps_mode", "cfr", "-r", rate)
	}
	return append(j.force(args, "source"), "-fps_mode", "passthrough", "-enc_time_base", fmt.Sprintf("1:%d", media.VideoTimescale))
}

// force makes key frames where the source has them. Who leads has no need of them: at even distances players are told of the next
// part with certainty.
func (j *job) force(args []string, where string) []string {
	if j.leads {
		return args
	}
	return append(args, "-force_key_frames", where)
}

// filter brings the picture to the rung's size: the source may have changed its shape since the plan was made, then there are
// bars at its sides.
func (j *job) filter(r media.Rung) string {
	size := fmt.Sprintf("%d:%d", r.Width, r.Height)
	var f []string
	if j.from != nil {
		f = append(f, fmt.Sprintf("trim=start=%.6f", seconds(*j.from)))
		if j.moved != 0 {
			f = append(f, fmt.Sprintf("setpts=PTS-%.6f/TB", seconds(j.moved)))
		}
	}
	if sameShape(j.source, r) {
		f = append(f, "scale="+size+":flags=bilinear")
	} else {
		f = append(f, "scale="+size+":force_original_aspect_ratio=decrease:force_divisible_by=2:flags=bilinear",
			"pad="+size+":(ow-iw)/2:(oh-ih)/2")
	}
	// Sides rounded to even numbers leave a shape of pixels that is hardly not square; who sees it as such picks another size.
	f = append(f, "setsar=if(lt(abs(sar-1)\\,0.02)\\,1\\,sar)")
	return strings.Join(append(f, j.encoder.Upload()), ",")
}

func seconds(t media.Ticks) float64 { return float64(t) / float64(media.VideoTimescale) }

// sameShape allows for sides that were rounded to even numbers.
func sameShape(t *media.Track, r media.Rung) bool {
	off := t.Width*r.Height - t.Height*r.Width
	return max(off, -off) <= 2*max(t.Width, t.Height)
}
