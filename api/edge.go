package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"mediad/api/account"
	"mediad/api/admin"
	"mediad/api/caller"
	"mediad/api/limit"
	"mediad/api/picture"
	"mediad/api/problem"
	"mediad/api/serverkey"
	"mediad/store/db"
)

const (
	// maxBody of a JSON request.
	maxBody = 1 << 20
	// pictureTimeout is for requests with a picture, which may come slowly.
	pictureTimeout = 30 * time.Second
	// maxQuery is far above any list with its cursor.
	maxQuery = 8 << 10
)

// edge is what every request passes, before the route is known and after it has answered.
type edge struct {
	next    http.Handler
	cache   *answerCache
	auth    func(ctx context.Context, header string) (caller.Caller, error)
	keys    *serverkey.Service
	tokens  credentials
	limiter *limit.Limiter // of anybody, by address; nil: off
	users   *limit.Limiter // of who is signed in
	cors    cors
	clients clients
	timeout time.Duration
	grace   time.Duration // of bodies
	log     *slog.Logger
	now     func() time.Time
	observe func(Request)
}

func newEdge(d Deps, next http.Handler) *edge {
	e := &edge{
		next: reading(next, d.Heard), auth: d.Auth.Authenticate, keys: d.ServerKeys, cors: newCORS(d.Config.CORSOrigins), clients: clients{trusted: d.Config.TrustedProxies},
		timeout: d.Config.Timeout, grace: d.Config.BodyGrace, log: d.Log, now: d.Now, observe: d.Observe,
		cache: newAnswerCache(d), tokens: newCredentials(d),
	}
	if d.Config.LimitScale > 0 {
		e.limiter = limit.New(limit.Options{Policy: d.Config.Quota.Scale(d.Config.LimitScale), Shared: d.Limits, Name: "anonymous", Now: d.Now})
		e.users = limit.New(limit.Options{Policy: d.Config.Quotas["user"].Scale(d.Config.LimitScale), Shared: d.Limits, Name: "user", Now: d.Now})
	}
	return e
}

// ServeHTTP implements http.Handler.
func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := e.now()
	a := newAnswer()
	r = problem.Identify(a.header, r)
	id := problem.RequestID(r.Context())
	note := &routeNote{answer: a}
	ctx := context.WithValue(r.Context(), routeKey{}, note)
	ctx = problem.WithCode(ctx, &note.code)
	whole := ctx // for what is sent for longer than an answer may take to be made
	ctx, cancel := context.WithTimeout(ctx, max(e.timeout, bodyOf(r).timeout))
	defer cancel()
	r = r.WithContext(ctx)
	body := paced(w, r.Body, e.grace)
	if !body.ended {
		r.Body = body
	}

	setCommonHeaders(a.header)
	e.cors.setHeaders(a.header, r)
	e.serve(a, r)
	body.leave()
	defer note.streamDone()
	var status int
	var broken error
	if s := note.streamed; s != nil && a.fine() && r.Method == http.MethodGet {
		status, broken = a.stream(whole, w, s, note.may)
	} else {
		status = a.send(w, r, note)
	}

	took := e.now().Sub(began)
	e.observe(Request{Route: note.route, Method: method(r.Method), Status: status, Took: took, Code: note.code, UserID: note.userID})
	e.log.DebugContext(ctx, "request", "route", note.route, "method", r.Method, "status", status, "took", took, "request_id", id)
	if broken != nil {
		if whole.Err() == nil {
			e.log.WarnContext(ctx, "answer broken off", "route", note.route, "request_id", id, "error", broken)
		}
		panic(http.ErrAbortHandler) // breaks the connection off, so that nobody takes a part for the whole
	}
}

// serve fills in the answer. A panic below becomes a problem, whatever had been written.
func (e *edge) serve(a *answer, r *http.Request) {
	defer func() {
		if v := recover(); v != nil {
			e.log.ErrorContext(r.Context(), "handler panicked", "panic", v, "request_id", problem.RequestID(r.Context()), "stack", string(debug.Stack()))
			a.reset()
			problem.Write(a, r, problem.New(problem.Internal, "The server failed. The request id finds the cause in its log."))
		}
	}()
	r.Body = http.MaxBytesReader(a, r.Body, bodyOf(r).limit)
	r = e.identify(r)
	if refusal := e.admit(a, r); refusal != nil {
		problem.Write(a, r, refusal)
		return
	}
	if preflight(r) {
		e.cors.answerPreflight(a.header)
		a.WriteHeader(http.StatusNoContent)
		return
	}
	if r.Method == http.MethodHead {
		// Routes are those of GET; send leaves the body out.
		r = r.WithContext(r.Context())
		r.Method = http.MethodGet
	}
	e.cache.serve(a, r, e.next)
}

// bodyRule is how large a body may be, and what its sender is told of that; timeout is what it needs at least to come.
type bodyRule struct {
	limit, told int64
	timeout     time.Duration
}

// bodyOf is decided by path, before the route is known.
func bodyOf(r *http.Request) bodyRule {
	if r.Method == http.MethodPut && (r.URL.Path == "/api/v1/me/avatar" || r.URL.Path == "/api/v1/me/banner") {
		return bodyRule{account.PictureBodyLimit, picture.MaxBytes, pictureTimeout}
	}
	return bodyRule{limit: maxBody, told: maxBody}
}

// identify finds out who asks and hands it down. What is wrong with a token is told once the route is known: some do not look at it.
func (e *edge) identify(r *http.Request) *http.Request {
	note := noteOf(r.Context())
	ctx := caller.WithPeer(r.Context(), e.clients.peer(r))
	who, err := e.tokens.tried(ctx, r.Header.Get("Authorization"), func() (caller.Caller, error) { return e.authenticate(ctx, r) })
	if err != nil {
		p, internal := problem.From(err)
		if internal != nil {
			e.log.WarnContext(ctx, "caller not identified", "request_id", problem.RequestID(ctx), "error", internal)
		}
		note.refusal = p
	}
	note.signedIn, note.userID = who.SignedIn(), who.UserID
	return r.WithContext(caller.With(ctx, who))
}

// authenticate tells by token or signature. A signature is over the body too, which is read for it.
func (e *edge) authenticate(ctx context.Context, r *http.Request) (caller.Caller, error) {
	header := r.Header.Get("Authorization")
	if !serverkey.Signed(header) {
		return e.auth(ctx, header)
	}
	body, refusal := wholeBody(r)
	if refusal != nil {
		return caller.Caller{}, refusal
	}
	target := r.URL.EscapedPath()
	if path, ok := sentPath(r); ok {
		target = path
	}
	return e.keys.Verify(ctx, header, serverkey.Request{Method: r.Method, Target: target + "?" + r.URL.RawQuery, Body: body})
}

// reading says from where reads may be answered so that nobody misses what they wrote themselves, on whatever node: from what this process
// remembers where it has heard of all changes, and for who is signed in from no replica.
func reading(next http.Handler, heard func(ctx context.Context, told int64) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			ctx := r.Context()
			note := noteOf(ctx)
			if note.signedIn {
				ctx = db.OwnWrites(ctx)
			}
			if heard != nil && heard(ctx, note.told) {
				ctx = db.Heard(ctx)
			}
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// sentPath is the path as it stands in the request's first line.
func sentPath(r *http.Request) (string, bool) {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	return path, strings.HasPrefix(path, "/")
}

// admit looks at what any request can be refused for.
func (e *edge) admit(a *answer, r *http.Request) *problem.Problem {
	if e.limiter != nil {
		limiter, key := e.limiter, limit.Caller(caller.PeerOf(r.Context()).Addr)
		if who := caller.Of(r.Context()); who.SignedIn() {
			limiter, key = e.users, who.UserID
		}
		count := limiter.Take
		if preflight(r) { // a browser's question, not the page's call
			count = limiter.Look
		}
		state := count(r.Context(), key)
		noteOf(r.Context()).told = state.Told
		state.SetHeaders(a.header)
		if !state.Allowed {
			return problem.New(problem.RateLimited, "Too many requests.").Retry(state.Reset)
		}
	}
	if b := bodyOf(r); r.ContentLength > b.limit {
		p := problem.New(problem.PayloadTooLarge, "The body is too large.")
		p.MaxBytes = b.told
		return p
	}
	if detail := unreadable(r); detail != "" {
		return problem.New(problem.InvalidParameter, detail)
	}
	return nil
}

// unreadable says what no parameter may contain: broken escapes, bytes that are no text, or the null character. "" is fine.
func unreadable(r *http.Request) string {
	if !readable(r.URL.Path) {
		return "The path has bytes that are no text."
	}
	if len(r.URL.RawQuery) > maxQuery {
		return "The query is too long."
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "The query has broken escapes."
	}
	for name, list := range values {
		if !readable(name) {
			return "A parameter's name has bytes that are no text."
		}
		if slices.ContainsFunc(list, func(value string) bool { return !readable(value) }) {
			return "A parameter has bytes that are no text."
		}
	}
	return ""
}

func readable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// method keeps what callers invent out of metric labels.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

type routeKey struct{}

// routeNote is what the parts of the edge tell each other of one request.
type routeNote struct {
	route    string
	code     string                      // of the problem that is answered
	userID   string                      // of who asks
	signedIn bool                        // somebody known asks
	refusal  *problem.Problem            // what is wrong with the caller's token
	noStore  bool                        // no cache keeps the answer
	answer   *answer                     // what is answered so far
	streamed *admin.Streamed             // what is written behind the headers; nil: nothing
	may      func(context.Context) error // whether the caller still may what the route does
	told     int64                       // how many changes the nodes had told each other of when the call began; 0: not known
}

// noteOf is the request's note.
func noteOf(ctx context.Context) *routeNote {
	if note, ok := ctx.Value(routeKey{}).(*routeNote); ok {
		return note
	}
	return &routeNote{}
}

// noteRoute is called once the route is known.
func noteRoute(ctx context.Context, route string) { noteOf(ctx).route = route }

func routeOf(ctx context.Context) string { return noteOf(ctx).route }
