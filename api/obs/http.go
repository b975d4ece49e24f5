// Package obs answers OBS's question what to encode (Enhanced Broadcasting, from OBS 30.2 on): sizes and bit rates for the machine that asks, so
// that its GPU makes the ladder and the server encodes nothing.
//
//	OBS ── POST what it is and can, with its stream key ──► judge the key ──► ladder ──► where to send, what to encode
//
// Whatever is wrong is told in an answer 200, as OBS shows nothing else to the streamer: status.html_en_us. The spelling is OBS's.
package obs

import (
	"context"
	"encoding/json"
	"errors"
	"html"
	"log/slog"
	"net"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/problem"
	"mediad/api/stream"
)

// Path is where OBS is pointed to.
const Path = "/api/v1/obs/client-config"

// Keys judges stream keys; *stream.Service is one.
type Keys interface {
	AuthorizePublish(ctx context.Context, key, remote string) (stream.Grant, error)
}

// Options of Register.
type Options struct {
	Keys Keys
	// Host makes the advertised host of the one that the caller used.
	Host func(requestHost string) string
	// Ports of the listeners; 0: turned off.
	RTMPPort, RTMPSPort int
	// TrustedTLS: the certificate is one that OBS takes.
	TrustedTLS bool
	// Streams finds what the file is for; nil: there is no file.
	Streams Streams
	Log     *slog.Logger
}

// post is what OBS says. What it says beyond that is of no use here.
type post struct {
	Service        string `json:"service"`
	SchemaVersion  string `json:"schema_version"`
	Authentication string `json:"authentication"`
	Client         struct {
		Version           string   `json:"version"`
		SupportedCodecs   []string `json:"supported_codecs"`
		SupportedEncoders []string `json:"supported_encoders"`
	} `json:"client"`
	Capabilities struct {
		CPU struct {
			PhysicalCores int32 `json:"physical_cores"`
		} `json:"cpu"`
		System struct {
			Name string `json:"name"`
		} `json:"system"`
		GPU []struct {
			VendorID uint32 `json:"vendor_id"`
		} `json:"gpu"`
	} `json:"capabilities"`
	Preferences struct {
		canvas                           // until schema 2024-06-04
		Canvases                []canvas `json:"canvases"` // since 2025-01-25
		MaximumAggregateBitrate *uint64  `json:"maximum_aggregate_bitrate"`
		MaximumVideoTracks      *uint32  `json:"maximum_video_tracks"`
	} `json:"preferences"`
}

type canvas struct {
	Width     uint32        `json:"width"`
	Height    uint32        `json:"height"`
	Framerate FramerateBody `json:"framerate"`
}

// ConfigBody is the answer.
type ConfigBody struct {
	Meta                  MetaBody       `json:"meta"`
	Status                *StatusBody    `json:"status,omitempty" doc:"Absent: all is well"`
	IngestEndpoints       []EndpointBody `json:"ingest_endpoints" nullable:"false"`
	EncoderConfigurations []VideoBody    `json:"encoder_configurations" nullable:"false" doc:"The source first"`
	AudioConfigurations   AudioSetBody   `json:"audio_configurations"`
}

// MetaBody names the answer.
type MetaBody struct {
	Service       string `json:"service" example:"IVS"`
	SchemaVersion string `json:"schema_version" example:"2025-01-25"`
	ConfigID      string `json:"config_id" format:"uuid"`
}

// StatusBody is what OBS tells the streamer.
type StatusBody struct {
	Result      string `json:"result" enum:"success,warning,error"`
	HTMLEnglish string `json:"html_en_us"`
}

// EndpointBody is where to send.
type EndpointBody struct {
	Protocol       string `json:"protocol" enum:"RTMP,RTMPS"`
	URLTemplate    string `json:"url_template" doc:"A URL in which OBS puts the key"`
	Authentication string `json:"authentication" doc:"The stream key"`
}

// VideoBody is one encoding of the picture.
type VideoBody struct {
	Type         string         `json:"type" doc:"OBS's name of the encoder" example:"obs_nvenc_h264_tex"`
	Width        uint32         `json:"width" example:"1280"`
	Height       uint32         `json:"height" example:"720"`
	Framerate    FramerateBody  `json:"framerate"`
	GPUScaleType string         `json:"gpu_scale_type" example:"OBS_SCALE_BICUBIC"`
	CanvasIndex  uint32         `json:"canvas_index"`
	Settings     map[string]any `json:"settings" doc:"The encoder's own: bitrate in kbit/s, keyint_sec, rate_control …"`
}

// AudioSetBody are the encodings of the sound.
type AudioSetBody struct {
	Live []AudioBody `json:"live" nullable:"false"`
	VOD  []AudioBody `json:"vod" nullable:"false" doc:"Always empty: replays have the sound of the broadcast"`
}

// AudioBody is one encoding of the sound.
type AudioBody struct {
	Codec    string         `json:"codec" example:"aac"`
	TrackID  uint32         `json:"track_id"`
	Channels uint32         `json:"channels" example:"2"`
	Settings map[string]any `json:"settings" doc:"bitrate in kbit/s"`
}

// maxBody is far above what OBS says: a list of its encoders and GPUs.
const maxBody = 256 << 10

type input struct {
	RawBody      []byte `contentType:"application/json"`
	host, remote string
}

// Resolve implements huma.Resolver.
func (i *input) Resolve(ctx huma.Context) []error {
	i.host, i.remote = ctx.Host(), ctx.RemoteAddr()
	return nil
}

type output struct {
	CacheControl string `header:"Cache-Control" hidden:"true"`
	Body         ConfigBody
}

// Register mounts the routes.
func Register(api huma.API, o Options) {
	if o.Streams != nil {
		registerFile(api, o)
	}
	body := &huma.RequestBody{Content: map[string]*huma.MediaType{}}
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "getOBSConfig", Method: http.MethodPost, Path: Path, Tags: []string{"streams"}, MaxBodyBytes: maxBody, SkipValidateBody: true, RequestBody: body,
		Summary: "What OBS is to encode", Description: "OBS's go-live request, with the stream key in its body. A refusal is an answer 200 with status.result error.",
	}, problem.InvalidParameter), problem.Handle(o.Log, func(ctx context.Context, in *input) (*output, error) {
		return &output{CacheControl: "no-store", Body: o.answer(ctx, in)}, nil
	}))
	body.Required = false // huma sets it; one that is missing is told of as OBS expects
}

func (o *Options) answer(ctx context.Context, in *input) ConfigBody {
	body := newConfig()
	var p post
	if err := json.Unmarshal(in.RawBody, &p); err != nil {
		return body.refuse("OBS has sent a request that cannot be read. Is it version 30.2 or later?")
	}
	if p.SchemaVersion < oldest {
		return body.refuse("This version of OBS is too old for Enhanced Broadcasting with this server: use 30.2 or later.")
	}
	if p.Service != "" {
		body.Meta.Service = clip(p.Service)
	}
	body.Meta.SchemaVersion = min(p.SchemaVersion, newest)
	if _, err := o.Keys.AuthorizePublish(ctx, p.Authentication, in.remote); err != nil {
		if refusal := (*stream.Refusal)(nil); errors.As(err, &refusal) {
			return body.refuse("The stream key is not valid. Copy it anew from the page of your stream.")
		}
		o.Log.Error("obs: stream keys cannot be checked", "error", err)
		return body.refuse("Stream keys cannot be checked at the moment. Try again in a minute.")
	}
	width, height, rate, err := p.canvas()
	if err != nil {
		return body.refuse(err.Error())
	}
	chosen, most := choose(&p)
	tracks, total := uint32(0), uint32(0)
	if n := p.Preferences.MaximumVideoTracks; n != nil {
		tracks = *n
	}
	if tracks == 0 {
		tracks = usualTracks
	}
	if n := p.Preferences.MaximumAggregateBitrate; n != nil {
		total = uint32(min(*n, 1<<31))
	}
	rungs := ladderOf(width, height, rate.float(), min(tracks, most), total)
	if rungs == nil {
		return body.refuse(errBitrate.Error())
	}
	body.IngestEndpoints = endpoints(o.Host(in.host), o.RTMPPort, o.RTMPSPort, p.Authentication)
	if len(body.IngestEndpoints) == 0 {
		return body.refuse(errNoRTMP.Error())
	}
	body.encode(chosen, rungs, rate)
	return body
}

// What OBS shows of it, or the command line.
var (
	errBitrate = errors.New("The highest total bit rate that is set is too low for any picture: set 700 kbit/s or more.") //nolint:revive,staticcheck // a sentence for people
	errNoRTMP  = errors.New("This server takes no RTMP.")                                                                 //nolint:revive,staticcheck // the same
)

// The schemas that are known, which are dates. A newer one is answered by the newest of these.
const (
	oldest = "2024-06-04"
	newest = "2025-01-25"
)

// refuse is the answer that OBS shows as an error. text is not HTML yet.
func (b ConfigBody) refuse(text string) ConfigBody {
	b.Status = &StatusBody{Result: "error", HTMLEnglish: html.EscapeString(text)}
	b.IngestEndpoints = []EndpointBody{}
	return b
}

func endpoints(host string, rtmpPort, rtmpsPort int, key string) []EndpointBody {
	out := []EndpointBody{}
	for _, e := range []struct {
		protocol, scheme string
		port             int
	}{{"RTMP", "rtmp", rtmpPort}, {"RTMPS", "rtmps", rtmpsPort}} {
		if e.port != 0 {
			out = append(out, EndpointBody{e.protocol, e.scheme + "://" + net.JoinHostPort(host, strconv.Itoa(e.port)) + "/live/{stream_key}", key})
		}
	}
	return out
}

// clip bounds what is repeated of a request.
func clip(s string) string {
	const most = 32
	if len(s) > most {
		return ""
	}
	return s
}
