// Package system answers about the site itself: what it offers, the OpenAPI document, the page that shows it.
package system

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/problem"
	"mediad/api/stream"
)

// Site is what GET /config tells.
type Site struct {
	Name     string
	Features Features
	// IngestHost is where to publish. "": the host that the caller used.
	IngestHost string
	// Ports of the listeners; 0: turned off.
	RTMPPort, RTMPSPort, RTSPPort, SRTPort int
	// TrustedTLS: the certificate is not one of the server's own making, which publishers refuse.
	TrustedTLS bool
	// OpenIngest: any key publishes (development).
	OpenIngest bool
}

// Features are the parts that this server has turned on.
type Features struct {
	LowLatency bool `json:"low_latency" doc:"LL-HLS"`
	DVR        bool `json:"dvr" doc:"Seeking back while live"`
	Transcode  bool `json:"transcode" doc:"Streams have more qualities than their source"`
	WHIP       bool `json:"whip"`
	WHEP       bool `json:"whep"`
	Chat       bool `json:"chat"`
	Gifts      bool `json:"gifts"`
	Uploads    bool `json:"uploads"`
	Clips      bool `json:"clips"`
	Mail       bool `json:"mail" doc:"Links for a new password, and to confirm an address, are mailed"`
}

// ConfigBody is the answer.
type ConfigBody struct {
	SiteName          string     `json:"site_name" example:"mediad"`
	Registration      string     `json:"registration" doc:"open, invite, closed" example:"closed"`
	Features          Features   `json:"features"`
	Limits            LimitsBody `json:"limits"`
	Ingest            IngestBody `json:"ingest"`
	CategoriesVersion int64      `json:"categories_version" minimum:"0" doc:"Changes with the list of categories" example:"0"`
	OIDC              []string   `json:"oidc" nullable:"false" doc:"Names of sign-in providers"`
}

// LimitsBody is what a form may check before it sends.
type LimitsBody struct {
	StreamTitleMax       int `json:"stream_title_max" example:"120"`
	StreamDescriptionMax int `json:"stream_description_max" example:"2000"`
	StreamTagsMax        int `json:"stream_tags_max" example:"10"`
	StreamTagMax         int `json:"stream_tag_max" example:"30"`
	PageMax              int `json:"page_max" doc:"Largest limit of a list" example:"100"`
}

// IngestBody is where to publish. A port is null where the listener is off.
type IngestBody struct {
	Host      string  `json:"host" example:"live.example.com"`
	RTMPURL   *string `json:"rtmp_url" doc:"The server to type into an encoder; null: RTMP is off"`
	RTMPPort  *int    `json:"rtmp_port" minimum:"1" maximum:"65535"`
	RTMPSPort *int    `json:"rtmps_port" minimum:"1" maximum:"65535"`
	RTSPPort  *int    `json:"rtsp_port" minimum:"1" maximum:"65535"`
	SRTPort   *int    `json:"srt_port" minimum:"1" maximum:"65535"`
	Open      bool    `json:"open" doc:"Any stream key publishes, and is the stream's name" example:"false"`
}

type configInput struct{ host string }

// Resolve implements huma.Resolver: the host that the caller used is in no header.
func (i *configInput) Resolve(ctx huma.Context) []error {
	i.host = ctx.Host()
	return nil
}

type configOutput struct {
	CacheControl string `header:"Cache-Control" hidden:"true"`
	Body         ConfigBody
}

// Changing is what of GET /config changes while the server runs.
type Changing struct {
	// Registration tells who may register.
	Registration func() (string, error)
	// Categories tells the version of the list of categories.
	Categories func(context.Context) int64
}

// Register mounts GET /config.
func Register(api huma.API, site Site, now Changing, log *slog.Logger) {
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "getConfig", Method: http.MethodGet, Path: "/api/v1/config", Tags: []string{"system"},
		Summary: "What this site offers", Description: "Public settings, limits and where to publish.",
	}, problem.InvalidParameter), problem.Handle(log, func(ctx context.Context, in *configInput) (*configOutput, error) {
		out := &configOutput{CacheControl: "public, max-age=60", Body: site.body(in.host)}
		out.Body.CategoriesVersion = now.Categories(ctx)
		var err error
		out.Body.Registration, err = now.Registration()
		return out, err
	}))
}

func (s Site) body(host string) ConfigBody {
	return ConfigBody{
		SiteName: s.Name, Features: s.Features, OIDC: []string{},
		Limits: LimitsBody{
			StreamTitleMax: stream.MaxTitle, StreamDescriptionMax: stream.MaxDescription, StreamTagsMax: stream.MaxTags,
			StreamTagMax: stream.MaxTag, PageMax: 100,
		},
		Ingest: s.ingest(host),
	}
}

// Host is where to publish, for a caller who used requestHost, which may have a port.
func (s Site) Host(requestHost string) string {
	if s.IngestHost != "" {
		return s.IngestHost
	}
	return hostName(requestHost)
}

func (s Site) ingest(requestHost string) IngestBody {
	host := s.Host(requestHost)
	b := IngestBody{
		Host: host, RTMPPort: port(s.RTMPPort), RTMPSPort: port(s.RTMPSPort), RTSPPort: port(s.RTSPPort),
		SRTPort: port(s.SRTPort), Open: s.OpenIngest,
	}
	if s.RTMPPort != 0 {
		url := "rtmp://" + bracketed(host)
		if s.RTMPPort != 1935 {
			url += ":" + strconv.Itoa(s.RTMPPort)
		}
		url += "/live"
		b.RTMPURL = &url
	}
	return b
}

func port(n int) *int {
	if n == 0 {
		return nil
	}
	return &n
}

var hostRule = regexp.MustCompile(`^[A-Za-z0-9.:_-]{1,253}$`)

// hostName is the host of a Host header without port and brackets. What is no host name is not repeated to the caller.
func hostName(header string) string {
	name := header
	if host, _, err := net.SplitHostPort(header); err == nil {
		name = host
	} else if n := len(header); n > 2 && header[0] == '[' && header[n-1] == ']' {
		name = header[1 : n-1]
	}
	if !hostRule.MatchString(name) {
		return "localhost"
	}
	return name
}

func bracketed(host string) string {
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return "[" + host + "]"
	}
	return host
}
