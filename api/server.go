// Package api serves /api: routes to handlers to services to store/db.
//
//	request ─► edge: id, headers, CORS, limit, panic ─► gin: which route ─► huma: parameters ─► resource/http.go
//	                                                                                              │
//	answer ◄── edge: ETag, 304, cache headers ◄─────────── problem or body ◄──────────────── service.go ─► store/db
//	             ├ equal anonymous questions within half a second share one answer (cache.go)
//	             └ while the database is away the answers given last are given again (known.go)
//
// An answer is held in memory until it is whole, so that it can be named by its hash and a failure half way becomes a
// clean problem. No media bytes pass through here. No goroutine is started.
package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"mediad/api/account"
	"mediad/api/admin"
	"mediad/api/alert"
	"mediad/api/auth"
	"mediad/api/category"
	"mediad/api/export"
	"mediad/api/limit"
	"mediad/api/object"
	"mediad/api/once"
	"mediad/api/play"
	"mediad/api/playback"
	"mediad/api/serverkey"
	"mediad/api/setting"
	"mediad/api/stream"
	"mediad/api/system"
	"mediad/api/upkeep"
	"mediad/api/video"
	"mediad/api/webhook"
	"mediad/store/job"
)

// Live is what the API wants to know of streams on air; cmd joins it to the media side.
type Live = stream.Live

// LiveInfo is what Live tells of one stream.
type LiveInfo = stream.LiveInfo

// Deps is what New needs.
type Deps struct {
	Streams *stream.Service
	Live    Live
	Videos  *video.Service
	Media   video.Media
	Plays   *play.Service
	// Clipping lets people cut clips.
	Clipping *video.Clipping
	// Accounts and Auth are those of the same database.
	Accounts *account.Service
	Auth     *auth.Service
	// Objects keeps pictures and exports.
	Objects *object.Keeper
	Exports *export.Service
	Config  Config
	// Playback makes the tokens of what is not public.
	Playback *playback.Issuer
	// Blocked is told of a user who blocked another, or is leaving: who may watch what is theirs is to be looked up again. nil: nobody.
	Blocked func(ctx context.Context, userID string)
	// Limits are the counts that the nodes of a site share. nil: this node counts alone.
	Limits limit.Shared
	// Heard says whether this node has heard of every change to users and streams that there was when a call began, so that it may read what it
	// remembers; told is how many changes the nodes had told each other of then, 0: not known. nil: it may not.
	Heard func(ctx context.Context, told int64) bool
	// Overview tells admins how the site stands.
	Overview func(context.Context) (admin.Overview, error)
	// Settings are what an admin may change while the server runs.
	Settings *setting.Service
	// Categories is the list of what streams and videos may be about.
	Categories *category.Service
	// Once keeps answers for calls with an Idempotency-Key.
	Once *once.Service
	// ServerKeys are who may sign requests.
	ServerKeys *serverkey.Service
	// Known are the answers for while the database is away. Who hears of a change makes it Forget. nil: one of its own.
	Known *Known
	// Webhooks and Jobs are those of the same database.
	Webhooks *webhook.Service
	Jobs     job.Admin
	// Upkeep has its jobs in that queue.
	Upkeep *upkeep.Service
	// Alerts are what the server's rules find wrong.
	Alerts *alert.Service
	// Log; nil: none.
	Log *slog.Logger
	// Now; nil: time.Now.
	Now func() time.Time
	// Observe is told of each request when it is answered. nil: nobody.
	Observe func(Request)
	// Cached is told of each question to a cache, by the cache's name, and whether it knew. nil: nobody.
	Cached func(cache string, hit bool)
}

// Request is what Observe is told. Route is the template ("/api/v1/streams/:stream"), "" where none matched.
type Request struct {
	Route, Method string
	Status        int
	Took          time.Duration
	// Code of the problem that was answered; "": none.
	Code string
	// UserID of who asked; "": nobody who is signed in.
	UserID string
}

// Config has the values that the API is run with.
type Config struct {
	Site system.Site
	// PublicURL of the site, with scheme, for absolute URLs of media. "": their paths alone are given out.
	PublicURL string
	// CORSOrigins are other sites whose pages may call, exact: "https://example.com".
	CORSOrigins []string
	// TrustedProxies are whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// LimitScale multiplies the quota; 0 turns it off.
	LimitScale float64
	// Quota of anonymous callers; zero: 300 in 60 s.
	Quota limit.Policy
	// Quotas are those of policies, and of "user", who is signed in. What is missing has the default.
	Quotas map[string]limit.Policy
	// CursorKey seals cursors; the nodes of a site share it. nil: a random one, so cursors end with the process.
	CursorKey []byte
	// LowLatency and NormalLatency are what players should aim at. 0: 1 s and 6 s.
	LowLatency, NormalLatency time.Duration
	// CacheFor is how long an anonymous answer is given again to the same question. 0: 500 ms, so that what changes is
	// seen within a second; negative: never.
	CacheFor time.Duration
	// Timeout of a request; 0: 10 s. Longer holds callers of a sick database, shorter fails them when it is only busy.
	Timeout time.Duration
	// BodyGrace is how long a body may keep silent, and how much longer than its pace asks it may take; 0: 5 s.
	BodyGrace time.Duration
}

func (d Deps) withDefaults() Deps {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Observe == nil {
		d.Observe = func(Request) {}
	}
	if d.Known == nil {
		d.Known = NewKnown()
	}
	if d.Cached == nil {
		d.Cached = func(string, bool) {}
	}
	c := &d.Config
	if c.Site.Name == "" {
		c.Site.Name = "mediad"
	}
	if c.Quota == (limit.Policy{}) {
		c.Quota = limit.Policy{Name: "default", Quota: 300, Window: time.Minute}
	}
	quotas := policies()
	for name, policy := range c.Quotas {
		quotas[name] = policy
	}
	c.Quotas = quotas
	if c.CursorKey == nil {
		c.CursorKey = make([]byte, 32)
		rand.Read(c.CursorKey) // never fails
	}
	if c.LowLatency == 0 {
		c.LowLatency = time.Second
	}
	if c.NormalLatency == 0 {
		c.NormalLatency = 6 * time.Second
	}
	if c.CacheFor == 0 {
		c.CacheFor = 500 * time.Millisecond
	}
	if c.BodyGrace == 0 {
		c.BodyGrace = 5 * time.Second
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	return d
}

func (d Deps) validate() error {
	c := d.Config
	if d.Streams == nil || d.Live == nil || d.Videos == nil || d.Media == nil || d.Plays == nil {
		return errors.New("api: streams, live, videos, media and plays are needed")
	}
	if d.Accounts == nil || d.Auth == nil || d.ServerKeys == nil || d.Once == nil || d.Playback == nil || d.Settings == nil || d.Categories == nil || d.Overview == nil {
		return errors.New("api: accounts, auth, server keys, once, playback, settings, categories and overview are needed")
	}
	if d.Objects == nil || d.Exports == nil || d.Clipping == nil {
		return errors.New("api: objects, exports and clipping are needed")
	}
	if c.LimitScale < 0 || c.Timeout < 0 || c.BodyGrace < 0 || c.Quota.Quota < 1 || c.Quota.Window < time.Second {
		return fmt.Errorf("api: limit scale %v, timeout %v, quota %d in %v", c.LimitScale, c.Timeout, c.Quota.Quota, c.Quota.Window)
	}
	for _, origin := range c.CORSOrigins {
		if origin == "*" || strings.HasSuffix(origin, "/") || !strings.Contains(origin, "://") {
			return fmt.Errorf("api: CORS origin %q is not of the form https://example.com", origin)
		}
	}
	return nil
}

// New makes the handler of everything under /api.
func New(d Deps) (http.Handler, error) {
	d = d.withDefaults()
	if err := d.validate(); err != nil {
		return nil, err
	}
	engine, err := routes(d)
	if err != nil {
		return nil, err
	}
	return newEdge(d, engine), nil
}
