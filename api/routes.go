package api

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"mediad/api/account"
	"mediad/api/admin"
	"mediad/api/auth"
	"mediad/api/category"
	"mediad/api/export"
	"mediad/api/obs"
	"mediad/api/page"
	"mediad/api/play"
	"mediad/api/problem"
	"mediad/api/relation"
	"mediad/api/serverkey"
	"mediad/api/stream"
	"mediad/api/system"
	"mediad/api/video"
	"mediad/api/webhook"
)

// routes is the whole table; each Register holds one resource, one line a route.
func routes(d Deps) (*gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode) // gin's only switch for its own printing
	strictNames()
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.ContextWithFallback = false
	engine.Use(func(c *gin.Context) { noteRoute(c.Request.Context(), c.FullPath()) })
	engine.NoRoute(refused(problem.RouteNotFound, "There is no such route. "+system.PagePath+" lists those there are."))
	engine.NoMethod(refused(problem.MethodNotAllowed, "The route has no such method. The Allow header lists those it has."))

	api := humagin.New(engine, humaConfig())
	gate := newGate(d)
	api.UseMiddleware(gate.pass)
	views := account.NewViews(d.Accounts, d.Config.PublicURL, broadcasts(d.Live, d.Accounts.DB()))
	auth.Register(api, auth.HTTP{
		Service: d.Auth, Left: ended(d.Streams, d.Live, d.Blocked), Views: views, Cursors: page.NewCodec(d.Config.CursorKey), Origins: ownOrigins(d.Config), Log: d.Log,
	})
	account.Register(api, account.HTTP{
		Service: d.Accounts, Views: views, Pictures: account.NewPictures(d.Accounts, d.Objects), Prove: d.Auth.Prove, EmailChanged: d.Auth.EmailChanged, Log: d.Log,
		ApproveStreamers: func() (bool, error) {
			mode, err := d.Settings.Text(admin.StreamerApproval)
			return mode == "manual", err
		},
	})
	export.Register(api, export.HTTP{Service: d.Exports, Cursors: page.NewCodec(d.Config.CursorKey), Log: d.Log})
	admin.Register(api, admin.HTTP{Accounts: d.Accounts, Auth: d.Auth, Views: views, Settings: d.Settings, Overview: d.Overview, Jobs: d.Jobs, Upkeep: d.Upkeep, Alerts: d.Alerts, Stream: streamLater, Cursors: page.NewCodec(d.Config.CursorKey), Log: d.Log})
	relation.Register(api, relation.HTTP{
		Service: relation.New(relation.Options{DB: d.Accounts.DB(), Record: d.Accounts.Record, Blocked: d.Blocked, Now: d.Now}), Accounts: d.Accounts, Views: views,
		Cursors: page.NewCodec(d.Config.CursorKey), Log: d.Log,
	})
	stream.Register(api, stream.HTTP{
		User: d.Accounts.Seen, Service: d.Streams, Live: d.Live, Cursors: page.NewCodec(d.Config.CursorKey), Rights: d.Playback, PublicURL: d.Config.PublicURL, WHEP: d.Config.Site.Features.WHEP,
		Ingest: stream.Ingest{
			Host: d.Config.Site.Host, RTMPPort: d.Config.Site.RTMPPort, RTMPSPort: d.Config.Site.RTMPSPort, RTSPPort: d.Config.Site.RTSPPort,
			SRTPort: d.Config.Site.SRTPort, WHIP: d.Config.Site.Features.WHIP,
		},
		LowLatency: d.Config.LowLatency, NormalLatency: d.Config.NormalLatency, Now: d.Now, Log: d.Log,
	})
	videos := video.HTTP{
		User: d.Accounts.Seen, Service: d.Videos, Media: d.Media, Resume: d.Plays.Resume, Cursors: page.NewCodec(d.Config.CursorKey), Rights: d.Playback, PublicURL: d.Config.PublicURL,
		Streams: d.Streams, Clipping: d.Clipping, Log: d.Log,
	}
	video.Register(api, videos)
	play.Register(api, play.HTTP{Service: d.Plays, Videos: video.Shown(videos), Cursors: page.NewCodec(d.Config.CursorKey), Log: d.Log})
	serverkey.Register(api, serverkey.HTTP{Service: d.ServerKeys, Cursors: page.NewCodec(d.Config.CursorKey), Log: d.Log})
	webhook.Register(api, webhook.HTTP{Service: d.Webhooks, Cursors: page.NewCodec(d.Config.CursorKey), Log: d.Log})
	category.Register(api, category.HTTP{
		Service: d.Categories, OnAir: func(ctx context.Context) (map[string]int64, error) { return d.Streams.OnAirByCategory(ctx, d.Live) },
		Cursors: page.NewCodec(d.Config.CursorKey), Log: d.Log,
	})
	system.Register(api, d.Config.Site, system.Changing{
		Registration: func() (string, error) { return d.Settings.Text(admin.Registration) }, Categories: d.Categories.Version,
	}, d.Log)
	obs.Register(api, obs.Options{
		Keys: d.Streams, Host: d.Config.Site.Host, RTMPPort: d.Config.Site.RTMPPort, RTMPSPort: d.Config.Site.RTMPSPort,
		TrustedTLS: d.Config.Site.TrustedTLS, Streams: d.Streams, Log: d.Log,
	})

	if err := gate.complete(api.OpenAPI()); err != nil {
		return nil, err
	}
	system.Complete(api.OpenAPI())
	written := sync.OnceValue(func() texts { return write(api.OpenAPI()) })
	engine.GET(system.DocumentPath, func(c *gin.Context) { static(c, "application/json", written().document, written()) })
	engine.GET(system.PagePath, func(c *gin.Context) {
		c.Header("Content-Security-Policy", written().policy)
		static(c, "text/html; charset=utf-8", written().page, written())
	})
	return engine, nil
}

// texts are the document and its page. They are written when somebody asks for the first time, so that a start is none the slower for them.
type texts struct {
	document, page []byte
	policy         string
	err            error
}

func write(doc *huma.OpenAPI) (t texts) {
	if t.document, t.err = system.Document(doc); t.err == nil {
		t.page, t.policy, t.err = system.Page(doc)
	}
	return t
}

// strictNames makes "Title" another field than "title", which is unknown: whoever checks a body in front of us may take them for two. It is
// huma's only switch for that.
var strictNames = sync.OnceFunc(func() { huma.ValidateStrictCasing = true })

// ownOrigins are those whose pages may use the site's cookies, beside the host that was called.
func ownOrigins(c Config) []string {
	origins := slices.Clone(c.CORSOrigins)
	if u, err := url.Parse(c.PublicURL); err == nil && u.Host != "" {
		origins = append(origins, u.Scheme+"://"+u.Host)
	}
	return origins
}

func humaConfig() huma.Config {
	schemas := huma.NewMapRegistry("#/components/schemas/", schemaName)
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "mediad API", Version: "1",
				Description: "Times are RFC 3339 UTC with milliseconds, ids UUIDv7. Clients must accept new fields and new values of enumerations.",
			},
			Components: &huma.Components{Schemas: schemas},
		},
		Formats:       map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{problem.Transformer(schemas)},
	}
}

func refused(code problem.Code, detail string) gin.HandlerFunc {
	return func(c *gin.Context) { problem.Write(c.Writer, c.Request, problem.New(code, detail)) }
}

// static answers what is the same for everybody as long as the server runs.
func static(c *gin.Context, contentType string, body []byte, made texts) {
	if made.err != nil {
		problem.Write(c.Writer, c.Request, problem.New(problem.Internal, "The document could not be written."))
		return
	}
	c.Header("Cache-Control", "public, max-age=60")
	c.Data(http.StatusOK, contentType, body)
}
