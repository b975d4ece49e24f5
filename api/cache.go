package api

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
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
// only once when many ask at the same time. While one asks anew the others are given the old answer for as long again, so that only one of them
// waits for the database. Only what was found is kept: a refusal names its request. While the database is away the answers
// that are known are given to those who had them.
type answerCache struct {
	ttl     time.Duration // not positive: off
	timeout time.Duration
	now     func() time.Time
	known   *Known
	asked   func(cache string, hit bool)
	flights singleflight.Group

	mu      sync.RWMutex // guards answers
	answers map[string]*keptAnswer
}

// keptAnswer is one that others are given.
type keptAnswer struct {
	cachedAnswer
	until  time.Time
	asking atomic.Bool // somebody asks anew
}

// cachedAnswer is never changed once it is made.
type cachedAnswer struct {
	header http.Header
	body   []byte
	route  string
}

func newAnswerCache(d Deps) *answerCache {
	return &answerCache{
		ttl: d.Config.CacheFor, timeout: d.Config.Timeout, now: d.Now, known: d.Known, asked: d.Cached, answers: map[string]*keptAnswer{},
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
		if kept, ok := c.fresh(question); ok { // answered since this request looked
			return kept, nil
		}
		// Others may wait for this answer, so it is not given up when the one who asked first leaves.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), c.timeout)
		defer cancel()
		own = c.ask(question, r.WithContext(ctx), next)
		if own.status != http.StatusOK {
			c.drop(question)
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
			note.code = "" // it is no problem any more
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

// get is what may be given now. Who is not given an old answer asks anew.
func (c *answerCache) get(question string) (cachedAnswer, bool) {
	c.mu.RLock()
	kept := c.answers[question]
	c.mu.RUnlock()
	if kept == nil {
		return cachedAnswer{}, false
	}
	now := c.now()
	if !now.Before(kept.until) && (!now.Before(kept.until.Add(c.ttl)) || kept.asking.CompareAndSwap(false, true)) {
		return cachedAnswer{}, false
	}
	return kept.cachedAnswer, true
}

// fresh is an answer that is not old.
func (c *answerCache) fresh(question string) (cachedAnswer, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	kept := c.answers[question]
	if kept == nil || !c.now().Before(kept.until) {
		return cachedAnswer{}, false
	}
	return kept.cachedAnswer, true
}

func (c *answerCache) drop(question string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.answers, question)
}

func (c *answerCache) keep(question string, own *answer, r *http.Request) cachedAnswer {
	now := c.now()
	if own.header.Get("Etag") == "" { // one of the row's version is completed when it is sent
		own.header.Set("Etag", entityTag(own.body.Bytes()))
	}
	kept := &keptAnswer{cachedAnswer: cachedAnswer{header: own.header, body: own.body.Bytes(), route: routeOf(r.Context())}, until: now.Add(c.ttl)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.answers[question]; !there && len(c.answers) >= maxCachedAnswers {
		maps.DeleteFunc(c.answers, func(_ string, old *keptAnswer) bool { return !now.Before(old.until) })
	}
	delete(c.answers, question)
	if len(c.answers) < maxCachedAnswers {
		c.answers[question] = kept
	}
	return kept.cachedAnswer
}

func (k cachedAnswer) give(a *answer, r *http.Request) {
	noteRoute(r.Context(), k.route)
	maps.Copy(a.header, k.header)
	a.take(http.StatusOK, k.body)
}
