package hlslint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Options say what is judged and for how long.
type Options struct {
	URL      string        // of a multivariant or a media playlist, http or https
	Duration time.Duration // for which a live origin is watched; default 20 s, cost: the traffic of a viewer of every rendition
	MaxBytes int64         // read in all; default 1 GiB
	Workers  int           // media requests at a time; default 6
	Timeout  time.Duration // of a request that nothing holds; default 10 s

	Client   *http.Client // default: one that speaks HTTP/2 and uses the environment's proxy
	Insecure bool         // accept any certificate; only with the default client

	OnlyRules, IgnoreRules []string // names of rules; both empty: all
	Authoring              bool     // also the rules on the choice of content
	Strict                 bool     // SHOULD counts for the exit code

	Log *slog.Logger     // each exchange at debug level; default: none
	Now func() time.Time // default time.Now
}

// ErrUsage is what Run's error wraps when the options are at fault and nothing was asked of the network.
var ErrUsage = errors.New("usage")

func (o Options) withDefaults() (Options, error) {
	if o.Duration == 0 {
		o.Duration = 20 * time.Second
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 30
	}
	if o.Workers == 0 {
		o.Workers = 6
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Client == nil {
		o.Client = defaultClient(o.Insecure)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return o, fmt.Errorf("%w: %q is not an http or https URL", ErrUsage, o.URL)
	case o.Duration < 0 || o.MaxBytes < 0 || o.Workers < 0 || o.Timeout < 0:
		return o, fmt.Errorf("%w: duration, bytes, workers and timeout are not negative", ErrUsage)
	}
	if bad := unknownRules(append(append([]string(nil), o.OnlyRules...), o.IgnoreRules...)); len(bad) > 0 {
		return o, fmt.Errorf("%w: no such rule: %s", ErrUsage, strings.Join(bad, ", "))
	}
	return o, nil
}

// watch is one run: what it has asked for and what is to be fetched.
type watch struct {
	Options
	*fetcher
	judge *judge
	pool  *pool
	hints *hintLimit
}

// Run judges an origin. An error means that there was nothing to judge: the URL does not answer, or not with a
// playlist. When ctx ends, what was seen until then is judged and the report comes with ctx's error.
func Run(ctx context.Context, o Options) (Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Report{}, err
	}
	w := &watch{
		Options: o,
		fetcher: &fetcher{client: o.Client, now: o.Now, log: o.Log},
		judge:   newJudge(o.URL, newRuleSet(o.OnlyRules, o.IgnoreRules, o.Authoring)),
		hints:   newHintLimit(),
	}
	w.left.Store(o.MaxBytes)
	w.pool = newPool(w)
	defer o.Client.CloseIdleConnections()
	urls, err := w.open(ctx)
	if err != nil {
		return Report{}, err
	}
	w.watchAll(ctx, urls)
	r := w.judge.report()
	r.strict = o.Strict
	r.Limited = w.pool.limited(w.left.Load())
	return r, ctx.Err()
}

// observe hands an exchange to the judge.
func (w *watch) observe(x Exchange) {
	if x.overBudget {
		w.left.Store(0)
		w.pool.skip()
		return
	}
	w.judge.observe(x)
}

// open fetches the given URL and every media playlist that it names, and returns the URLs of those that answer.
func (w *watch) open(ctx context.Context) ([]string, error) {
	x, ok := w.get(ctx, PurposeMultivariant, w.URL, request{timeout: w.Timeout})
	switch {
	case !ok:
		return nil, ctx.Err()
	case x.Status == 0:
		return nil, fmt.Errorf("%s: %s", w.URL, x.Err)
	case x.Status != http.StatusOK:
		return nil, fmt.Errorf("%s: status %d", w.URL, x.Status)
	case !bytes.Contains(x.Body, []byte("#EXT")):
		return nil, fmt.Errorf("%s: not a playlist (%s)", w.URL, x.Header.Get("Content-Type"))
	}
	if !isMultivariant(x.Body) {
		x.Purpose = PurposePlaylist
		w.observe(x)
		name, _ := splitDirectives(w.URL)
		return []string{name}, nil
	}
	w.observe(x)
	var urls []string
	for _, u := range w.judge.named() {
		x, ok := w.get(ctx, PurposePlaylist, u, request{timeout: w.Timeout})
		if !ok {
			return nil, ctx.Err()
		}
		w.observe(x)
		if w.judge.state(u) != nil {
			urls = append(urls, u)
		}
	}
	return urls, nil
}

// watchAll follows the live playlists for the duration and fetches the media of all.
func (w *watch) watchAll(ctx context.Context, urls []string) {
	media, stopMedia := context.WithCancel(ctx)
	defer stopMedia()
	var workers sync.WaitGroup
	for range w.Workers {
		workers.Go(func() { w.pool.work(media) })
	}
	polling, stop := context.WithTimeout(ctx, w.Duration)
	defer stop()
	var g sync.WaitGroup
	live := false
	for _, u := range urls {
		p := w.judge.state(u)
		live = live || p.live()
		g.Go(func() {
			w.fetchNew(media, u)
			if p.live() {
				w.follow(polling, media, u)
			}
		})
	}
	if len(urls) > 0 {
		g.Go(func() { w.probe(polling, urls[0]) })
	}
	g.Wait()
	w.pool.close()
	if live {
		// What was listed last still has to come; not for ever.
		defer time.AfterFunc(w.Timeout, stopMedia).Stop()
	}
	workers.Wait()
}

// named returns the URLs of all media playlists, in the order in which they were named.
func (j *judge) named() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.order...)
}

// state is the newest known form of a media playlist, nil if it never came. It is not written any more.
func (j *judge) state(url string) *playlist {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r := j.renditions[url]; r != nil {
		return r.last
	}
	return nil
}
