package obs

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/problem"
	"mediad/api/stream"
	"mediad/store/db"
)

// Streams finds the streams that the caller may change; *stream.Service is one.
type Streams interface {
	Owned(ctx context.Context, idOrSlug string) (db.Stream, error)
}

var _ Streams = (*stream.Service)(nil)

// fileInput says for which OBS the file is: it is not there to tell of itself.
type fileInput struct {
	Stream  string `path:"stream" doc:"Id or slug" example:"main"`
	Encoder string `query:"encoder" enum:"nvenc,nvenc-obs30,amf,qsv,videotoolbox,x264" default:"x264" doc:"What OBS encodes with; nvenc is that of OBS 31 and later"`
	Width   uint32 `query:"width" default:"1920" minimum:"128" maximum:"4096" doc:"Of OBS's output"`
	Height  uint32 `query:"height" default:"1080" minimum:"128" maximum:"4096"`
	FPS     uint32 `query:"fps" default:"30" minimum:"1" maximum:"240000" doc:"Pictures a second, with fps_den beneath"`
	FPSDen  uint32 `query:"fps_den" default:"1" minimum:"1" maximum:"1001" doc:"1001 beneath 30000 is 29.97"`
	Tracks  uint32 `query:"tracks" maximum:"7" doc:"At most so many sizes; 0: four, two with x264"`
	Bitrate uint32 `query:"bitrate_kbps" maximum:"1000000" doc:"At most so many kbit/s of all together; 0: what they need"`

	host string
}

// Resolve implements huma.Resolver.
func (i *fileInput) Resolve(ctx huma.Context) []error {
	i.host = ctx.Host()
	return nil
}

type fileOutput struct {
	Disposition string `header:"Content-Disposition" hidden:"true"`
	Body        ConfigBody
}

// registerFile mounts the file for OBS's "Config Override (JSON)".
func registerFile(api huma.API, o Options) {
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "getOBSConfigFile", Method: http.MethodGet, Path: "/api/v1/streams/{stream}/obs-config.json", Tags: []string{"streams"},
		Summary: "What OBS is to encode, as a file", Description: "For OBS's Config Override: what POST /obs/client-config answers, for a machine that is not there to tell of " +
			"itself. The stream key is not in it, as it is known to nobody: OBS takes the one that is typed in.",
	}, problem.Unauthenticated, problem.ScopeMissing, problem.Forbidden, problem.RoleRequired, problem.NotFound, problem.InvalidParameter, problem.ValidationFailed, problem.InvalidState),
		problem.Handle(o.Log, o.file))
}

func (o *Options) file(ctx context.Context, in *fileInput) (*fileOutput, error) {
	row, err := o.Streams.Owned(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	override := Override{
		Width: in.Width, Height: in.Height, Framerate: FramerateBody{in.FPS, in.FPSDen}, Encoder: in.Encoder, Tracks: in.Tracks, Bitrate: in.Bitrate,
		Host: o.Host(in.host), RTMPPort: o.RTMPPort,
	}
	if o.TrustedTLS { // OBS refuses a certificate that is self-signed
		override.RTMPSPort = o.RTMPSPort
	}
	if override.RTMPPort+override.RTMPSPort == 0 {
		return nil, problem.New(problem.InvalidState, errNoRTMP.Error())
	}
	body, err := override.Config()
	if err != nil {
		p := problem.New(problem.ValidationFailed, "A value is not allowed; errors tells which.")
		p.Errors = []problem.Field{{Pointer: "/" + wrong(err), Code: "out_of_range", Message: err.Error()}}
		return nil, p
	}
	return &fileOutput{Disposition: `attachment; filename="obs-` + row.Slug + `.json"`, Body: body}, nil
}

// wrong names the parameter that an error of Config is about.
func wrong(err error) string {
	if err == errBitrate { //nolint:errorlint // it is returned as it is
		return "bitrate_kbps"
	}
	return "width"
}
