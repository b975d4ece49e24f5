package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v3"

	"mediad/configs"
	"mediad/live"
)

// drainGate lets no new broadcast begin while the node is drained. One that is on may lose its publisher and have it back.
type drainGate struct {
	next     live.Authorizer
	draining *atomic.Bool
	onAir    func(stream string) bool
}

func (n *node) drainGate(next live.Authorizer) live.Authorizer {
	return drainGate{next, &n.health.draining, func(stream string) bool {
		_, on := n.hub.Session(stream)
		return on
	}}
}

// AuthorizePublish implements live.Authorizer.
func (g drainGate) AuthorizePublish(ctx context.Context, key string, peer live.Peer) (live.Grant, error) {
	grant, err := g.next.AuthorizePublish(ctx, key, peer)
	if err == nil && g.draining.Load() && !g.onAir(grant.Stream) {
		return live.Grant{}, live.Refuse(live.ReasonShuttingDown, nil)
	}
	return grant, err
}

// drainState is what the admin port answers.
type drainState struct {
	Draining bool `json:"draining"`
	// Live is how many broadcasts are on, those that wait for their publisher included.
	Live int `json:"live"`
}

// serveDrain drains the node (POST), takes that back (DELETE), and says how it stands (GET).
func (n *node) serveDrain() http.Handler {
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPost, http.MethodDelete:
			on := r.Method == http.MethodPost
			if n.health.draining.Swap(on) != on {
				n.log.Info("drained: no new broadcast begins", "on", on)
			}
		case http.MethodGet, http.MethodHead:
		default:
			w.Header().Set("Allow", "GET, HEAD, POST, DELETE")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		s := drainState{Draining: n.health.draining.Load()}
		if n.hub != nil {
			s.Live = len(n.hub.Live())
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(s) // who asked has gone: nobody is left to tell
	})
	return ownersAlone(answer)
}

// ownersAlone keeps pages in browsers away, that of a name which was made to lead here included: the port asks for no password.
func ownersAlone(next http.Handler) http.Handler {
	guarded := http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if host != "localhost" && net.ParseIP(host) == nil {
			http.Error(w, "ask by address", http.StatusForbidden)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

const drainHelp = `Prepares a running server for its stop: no new broadcast begins on it, /readyz answers 503 so that load balancers send nobody, and what is on air
goes on, also over a lost connection. Returns when nothing is on air any more; then stop the server. A restart ends it, as --undo does.`

func (p *program) drainCommand() *cli.Command {
	return &cli.Command{Name: "drain", Usage: "let a running server finish what is on air, and begin nothing new", Description: drainHelp,
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "wait", Usage: "how long to wait for broadcasts to end, at most; 0: for ever (`DURATION`)"},
			&cli.BoolFlag{Name: "no-wait", Usage: "return at once"},
			&cli.BoolFlag{Name: "undo", Usage: "let broadcasts begin again"},
		},
		Action: noArguments(func(ctx context.Context, c *cli.Command) error {
			if c.Duration("wait") < 0 || c.Bool("no-wait") && c.IsSet("wait") || c.Bool("undo") && (c.Bool("no-wait") || c.IsSet("wait")) {
				return usagef("drain: --wait is not negative, and one of --wait, --no-wait and --undo")
			}
			loaded, err := p.load(c)
			if err != nil {
				return err
			}
			return p.drain(ctx, c, loaded.Config)
		})}
}

// drainPoll is how often the server is asked how many broadcasts are left.
const drainPoll = time.Second

func (p *program) drain(ctx context.Context, c *cli.Command, config *configs.Config) error {
	method := http.MethodPost
	if c.Bool("undo") {
		method = http.MethodDelete
	}
	s, err := askDrain(ctx, config, method)
	if err != nil {
		return err
	}
	if c.Bool("undo") {
		fmt.Fprintln(p.stdout, "broadcasts may begin again")
		return nil
	}
	fmt.Fprintf(p.stdout, "drained: no new broadcast begins; on air: %d\n", s.Live)
	if c.Bool("no-wait") {
		return nil
	}
	if limit := c.Duration("wait"); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	again := time.NewTicker(drainPoll)
	defer again.Stop()
	for last := s.Live; s.Live > 0; last = s.Live {
		select {
		case <-ctx.Done():
			return fmt.Errorf("on air: %d; it stays drained, and a stop now lets them go on after a restart within the resume window", s.Live)
		case <-again.C:
		}
		if s, err = askDrain(ctx, config, http.MethodGet); err != nil {
			if ctx.Err() != nil {
				s.Live = last
				continue
			}
			return err
		}
		if !s.Draining {
			return errors.New("somebody has undone it, or the server was restarted")
		}
		if s.Live != last {
			fmt.Fprintf(p.stdout, "on air: %d\n", s.Live)
		}
	}
	fmt.Fprintln(p.stdout, "nothing is on air: stop the server now")
	return nil
}

// askDrain asks the running server, by its admin port.
func askDrain(ctx context.Context, config *configs.Config, method string) (drainState, error) {
	var s drainState
	addr := config.Admin.Addr
	if addr == "" {
		return s, errors.New("admin.addr is empty: the server has no port to be asked on")
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return s, err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: "/drain"}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return s, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return s, fmt.Errorf("the server does not answer at %s; is it running with this configuration? %w", u.Host, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	if err != nil {
		return s, err
	}
	if answer.StatusCode != http.StatusOK {
		return s, fmt.Errorf("the server at %s answers %s: %s", u.Host, answer.Status, bytes.TrimSpace(body))
	}
	return s, json.Unmarshal(body, &s)
}
