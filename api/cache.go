package api

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	maxCachedAnswers = 512
	// maxCachedKey keeps questions with long cursors, which few ask, out.
	maxCachedKey = 256
)

// answerCache gives equal anonymous questions one answer, for so short a time that nobody sees it as old, and asks below
// only once when many ask at the same time. Only what was found is kept: a refusal names its request.
type answerCache struct {
	ttl     time.Duration // not positive: off
	timeout time.Duration
	now     func() time.Time
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

func newAnswerCache(ttl, timeout time.Duration, now func() time.Time, asked func(cache string, hit bool)) *answerCache {
	return &answerCache{ttl: ttl, timeout: timeout, now: now, asked: asked, answers: map[string]cachedAnswer{}}
}

// serve answers from the cache, or lets next answer.
func (c *answerCache) serve(a *answer, r *http.Request, next http.Handler) {
	// Host is part of the question: some answers name it.
	key := r.Host + r.URL.EscapedPath() + "?" + r.URL.RawQuery
	if c.ttl <= 0 || r.Method != http.MethodGet || r.Header.Get("Authorization") != "" || len(key) > maxCachedKey {
		next.ServeHTTP(a, r)
		return
	}
	kept, ok := c.get(key)
	if c.asked("answers", ok); ok {
		kept.give(a, r)
		return
	}
	var own *answer
	shared, _, _ := c.flights.Do(key, func() (any, error) {
		if kept, ok := c.get(key); ok { // answered since this request looked
			return kept, nil
		}
		// Others may wait for this answer, so it is not given up when the one who asked first leaves.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), c.timeout)
		defer cancel()
		own = newAnswer()
		next.ServeHTTP(own, r.WithContext(ctx))
		if own.status != http.StatusOK {
			return cachedAnswer{}, nil
		}
		return c.keep(key, own, r), nil
	})
	kept, _ = shared.(cachedAnswer)
	switch {
	case kept.header != nil:
		kept.give(a, r)
	case own != nil: // this request's own refusal
		maps.Copy(a.header, own.header)
		a.WriteHeader(own.status)
		_, _ = a.Write(own.body.Bytes())
	default:
		next.ServeHTTP(a, r)
	}
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
	_, _ = a.Write(k.body)
}
