package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mediad/api/playback"
	"mediad/api/playback/token"
	"mediad/ingest/hook"
	"mediad/live"
	"mediad/packager/origin"
)

// newRights are who may watch what, for everything that gives media out.
func (n *node) newRights() *playback.Rights {
	began := func(stream string) (time.Time, bool) {
		s, ok := n.hub.Lookup(stream)
		return s.StartedAt, ok && s.SessionID != ""
	}
	return playback.NewRights(playback.RightsOptions{Policies: n.site.policies, Keys: n.site.tokens, Began: began, Now: n.now})
}

// watchPolicies keeps what is watched and on air up to date.
func (n *node) watchPolicies(ctx context.Context) error {
	return n.site.policies.Run(ctx, func() []string {
		on := n.hub.Live()
		names := make([]string, len(on))
		for i, s := range on {
			names[i] = s.Stream
		}
		return names
	})
}

// originGuard lets the platform's rules decide who may have media.
type originGuard struct{ rights *playback.Rights }

// May implements origin.Guard.
func (g originGuard) May(ctx context.Context, a origin.Ask) (<-chan struct{}, error) {
	ask := playback.Ask{Kind: token.Live, Name: a.Name, Token: a.Token, Begins: a.Begins}
	if a.VOD {
		ask.Kind = token.VOD
	}
	lost, err := g.rights.Media(ctx, ask)
	switch {
	case err == nil:
		return lost, nil
	case errors.Is(err, playback.ErrHidden):
		return nil, origin.ErrHidden
	case errors.Is(err, playback.ErrInvalid):
		return nil, origin.ErrTokenInvalid
	case errors.Is(err, playback.ErrExpired):
		return nil, origin.ErrTokenExpired
	default:
		return nil, fmt.Errorf("rights: %w", err)
	}
}

// playRights is who may play by other protocols than HLS: whom the platform lets, and the hook if there is one.
type playRights struct {
	rights *playback.Rights
	hub    *live.Hub
	hook   *hook.Hook
}

func (p playRights) may(ctx context.Context, stream, tok string, peer live.Peer) (lost <-chan struct{}, err error) {
	// Nobody is asked for the rights to what is not on air: names that somebody invents cost nothing.
	_, on := p.hub.Session(stream)
	if on {
		if lost, err = p.rights.Play(ctx, stream, tok); err != nil {
			return nil, live.Refuse(playRefusal(err), err)
		}
	}
	if p.hook != nil {
		if err := p.hook.Play(ctx, stream, tok, peer); err != nil {
			return nil, err
		}
	}
	if !on {
		return nil, live.Refuse(live.ReasonNotLive, nil)
	}
	return lost, nil
}

func playRefusal(err error) live.Reason {
	switch {
	case errors.Is(err, playback.ErrHidden): // as if it were not there
		return live.ReasonNotLive
	case errors.Is(err, playback.ErrInvalid):
		return live.ReasonTokenInvalid
	case errors.Is(err, playback.ErrExpired):
		return live.ReasonTokenExpired
	default:
		return live.ReasonAuthUnavailable
	}
}
