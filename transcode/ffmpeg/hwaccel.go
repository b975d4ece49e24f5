package ffmpeg

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Encoder is one of the H.264 encoders. The zero value is the one in software.
type Encoder uint8

// The encoders, by what transcode.hwaccel calls them.
const (
	Software Encoder = iota
	NVENC
	VAAPI
	QSV
)

var encoderNames = [...]string{"none", "nvenc", "vaapi", "qsv"}

func (e Encoder) String() string {
	if int(e) < len(encoderNames) {
		return encoderNames[e]
	}
	return fmt.Sprintf("encoder(%d)", uint8(e))
}

// renderNode is where VAAPI is looked for.
const renderNode = "/dev/dri/renderD128"

// Device are the flags that stand before the inputs.
func (e Encoder) Device() []string {
	if e == VAAPI {
		return []string{"-vaapi_device", renderNode}
	}
	return nil
}

// Upload is the end of a filter chain: it hands the pictures over in the form that the encoder takes.
func (e Encoder) Upload() string {
	switch e {
	case VAAPI:
		return "format=nv12,hwupload"
	case QSV:
		return "format=nv12"
	default:
		return "format=yuv420p"
	}
}

// Flags choose the encoder and make it hold nothing back. preset is of the one in software.
func (e Encoder) Flags(preset string) []string {
	switch e {
	case NVENC:
		return []string{"-c:v", "h264_nvenc", "-preset", "p3", "-tune", "ull", "-rc", "cbr", "-zerolatency", "1", "-delay", "0", "-forced-idr", "1"}
	case VAAPI:
		return []string{"-c:v", "h264_vaapi", "-async_depth", "1"}
	case QSV:
		return []string{"-c:v", "h264_qsv", "-preset", "veryfast", "-async_depth", "1", "-forced_idr", "1"}
	default:
		return []string{"-c:v", "libx264", "-preset", preset, "-tune", "zerolatency", "-sc_threshold", "0", "-threads", "1"}
	}
}

// trialWithin bounds one trial: drivers take a second or two to wake.
const trialWithin = 10 * time.Second

// Choose finds the encoder for a value of transcode.hwaccel: the named one, of auto the first that works, else the one in
// software. Works means that it has encoded a second of pictures: what is compiled in says nothing about the machine.
func Choose(ctx context.Context, path, hwaccel string, log *slog.Logger) Encoder {
	for _, e := range []Encoder{NVENC, VAAPI, QSV} {
		if hwaccel != "auto" && hwaccel != e.String() {
			continue
		}
		err := try(ctx, path, e)
		if err == nil {
			return e
		}
		if hwaccel != "auto" {
			log.Warn("the hardware encoder does not work, encoding in software", "hwaccel", hwaccel, "error", err)
		}
	}
	return Software
}

// try encodes a second.
func try(ctx context.Context, path string, e Encoder) error {
	args := append(Protect(), e.Device()...)
	args = append(args, "-f", "lavfi", "-i", "testsrc=size=640x360:rate=30:duration=1", "-vf", e.Upload())
	args = append(append(args, e.Flags("ultrafast")...), "-bf", "0", "-b:v", "1M", "-f", "h264", "pipe:3")
	// Drivers map far more than they use.
	c, err := Start(Options{Path: path, Args: args, Pipes: 1, MaxMemory: -1})
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, trialWithin)
	defer cancel()
	defer context.AfterFunc(ctx, c.Kill)()
	c.CloseInput() // it needs none
	n, err := io.Copy(io.Discard, c.Pipe(0))
	<-c.Done()
	if err := c.Err(); err != nil {
		return err
	}
	if err == nil && n == 0 {
		err = fmt.Errorf("ffmpeg: %s made nothing", e)
	}
	return err
}
