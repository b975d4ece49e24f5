package api

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"mediad/api/caller"
)

const (
	maxCachedAnswers = 512
	// maxCachedKey keeps questions with long cursors, which few ask, out.
	maxCachedKey = 256
)

// answerCache gives equal anonymous questions one answer, for so short a time that nobody sees it as old, and asks below
// only once when many ask at the same time. Only what was found is kept: a refusal names its request. While the database is away the answers
// that are known are given to those who had them.
type answerCache struct {
	ttl     time.Duration // not positive: off
	timeout time.Duration
	now     func() time.Time
	known   *Known
	asked   func(cache string, hit bool)
	flights singleflight.Group

	mu      sync.RWMutex // guards answers
	answers map[string]cachedAnswer
}

// cachedAnswer is never changed once it is made.
type cachedAnswer struct {
	header http.Header
	body   []byte
	route  string
	until  time.Time
}

func newAnswerCache(d Deps) *answerCache {
	return &answerCache{
		ttl: d.Config.CacheFor, timeout: d.Config.Timeout, now: d.Now, known: d.Known, asked: d.Cached, answers: map[string]cachedAnswer{},
	}
}

// serve answers from the cache, or lets next answer.
func (c *answerCache) serve(a *answer, r *http.Request, next http.Handler) {
	// Host is part of the question: some answers name it.
	question := r.Host + r.URL.EscapedPath() + "?" + r.URL.RawQuery
	who := caller.Of(r.Context())
	anonymous := r.Header.Get("Authorization") == ""
	switch {
	case r.Method != http.MethodGet || len(question) > maxCachedKey || !anonymous && !who.SignedIn():
		next.ServeHTTP(a, r)
	case !anonymous:
		c.ask(string(who.Via)+who.UserID+who.TokenID+" "+question, r, next).become(a)
	case c.ttl <= 0:
		c.ask(question, r, next).become(a)
	default:
		c.shared(a, r, question, next)
	}
}

// shared answers who did not say who they are.
func (c *answerCache) shared(a *answer, r *http.Request, question string, next http.Handler) {
	kept, ok := c.get(question)
	if c.asked("answers", ok); ok {
		kept.give(a, r)
		return
	}
	var own *answer
	shared, _, _ := c.flights.Do(question, func() (any, error) {
		if kept, ok := c.get(question); ok { // answered since this request looked
			return kept, nil
		}
		// Others may wait for this answer, so it is not given up when the one who asked first leaves.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), c.timeout)
		defer cancel()
		own = c.ask(question, r.WithContext(ctx), next)
		if own.status != http.StatusOK {
			return cachedAnswer{}, nil
		}
		return c.keep(question, own, r), nil
	})
	kept, _ = shared.(cachedAnswer)
	switch {
	case kept.header != nil:
		kept.give(a, r)
	case own != nil: // this request's own refusal
		own.become(a)
	default:
		c.ask(question, r, next).become(a)
	}
}

// ask lets next answer, and answers by what is known where it says that it cannot.
func (c *answerCache) ask(question string, r *http.Request, next http.Handler) *answer {
	begun := c.known.begin()
	own := newAnswer()
	next.ServeHTTP(own, r)
	note := noteOf(r.Context())
	switch {
	case databaseAway(own.status):
		now := c.now()
		last, ok := c.known.get(question, now)
		if c.asked("known", ok); ok {
			old := newAnswer()
			last.give(old, r)
			old.header.Set("Age", strconv.Itoa(int(now.Sub(last.made)/time.Second)))
			return old
		}
	case own.status == http.StatusOK && !note.noStore:
		// What is sent has headers of its own besides.
		c.known.keep(question, cachedAnswer{header: maps.Clone(own.header), body: own.body.Bytes(), route: note.route}, begun, c.now())
	}
	return own
}

func (c *answerCache) get(key string) (cachedAnswer, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	kept, ok := c.answers[key]
	return kept, ok && c.now().Before(kept.until)
}

func (c *answerCache) keep(key string, own *answer, r *http.Request) cachedAnswer {
	now := c.now()
	own.header.Set("Etag", entityTag(own.body.Bytes()))
	kept := cachedAnswer{header: own.header, body: own.body.Bytes(), route: routeOf(r.Context()), until: now.Add(c.ttl)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.answers) >= maxCachedAnswers {
		maps.DeleteFunc(c.answers, func(_ string, old cachedAnswer) bool { return !now.Before(old.until) })
	}
	if len(c.answers) < maxCachedAnswers {
		c.answers[key] = kept
	}
	return kept
}

func (k cachedAnswer) give(a *answer, r *http.Request) {
	noteRoute(r.Context(), k.route)
	maps.Copy(a.header, k.header)
	a.take(http.StatusOK, k.body)
}
