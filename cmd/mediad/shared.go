package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"mediad/api"
	"mediad/api/limit"
	"mediad/configs"
	"mediad/store/bus"
	"mediad/store/presence"
	"mediad/store/redis"
)

// shared is what the nodes of a site have together for a moment. Alone a node has it in process.
type shared struct {
	bus    bus.Bus
	limits limit.Shared  // nil: this node counts alone
	people presence.Set  // nil likewise
	client *redis.Client // nil: there is no Redis
	events *redis.Bus    // nil likewise
	known  *api.Known    // what this node answered, for while the database is away; none of it is shared
}

// The topics of the bus. Keys are ids.
const (
	streamTopic = "stream" // its keys, or whether it is disabled
	userTopic   = "user"   // role, state or sessions
	ownerTopic  = "owner"  // who may watch what the user has
)

// openShared prepares what the configuration names. Whether the server is there is asked later: nobody needs it to begin.
func openShared(c *configs.Config, log *slog.Logger) (shared, error) {
	if c.Redis.URL == "" {
		return shared{bus: &bus.Local{}, known: api.NewKnown()}, nil
	}
	client, err := redis.Open(c.Redis.URL, log)
	if err != nil {
		return shared{}, err
	}
	events := redis.NewBus(client)
	return shared{
		bus: events, limits: redis.NewCounts(client), people: redis.NewPresence(client), client: client, events: events, known: api.NewKnown(),
	}, nil
}

func (s shared) close() {
	if s.client != nil {
		_ = s.client.Close()
	}
}

// changed tells all nodes, this one as well.
func (s shared) changed(ctx context.Context, log *slog.Logger, topic, id string) {
	s.known.Forget(id)
	if err := s.bus.Publish(ctx, bus.Event{Topic: topic, Key: id}); err != nil {
		log.DebugContext(ctx, "other nodes not told of a change, they are later", "topic", topic, "error", err)
	}
}

// check is the probe's. A node goes on without.
func (s shared) check(ctx context.Context) error {
	if s.client == nil {
		return nil // in process: it is there as long as we are
	}
	if s.client.Ping(ctx) != nil {
		return errors.New("Redis does not answer") //nolint:staticcheck // a name
	}
	return nil
}

// warn says once, at the start, that Redis is not there.
func (s shared) warn(ctx context.Context, log *slog.Logger) {
	if s.client == nil {
		return
	}
	server, err := s.client.Server(ctx)
	if err != nil {
		log.Warn("Redis does not answer: this node decides alone until it does", "server", s.client.Where(), "error", err)
		return
	}
	log.Info("Redis answers", "server", s.client.Where(), "version", server.Version, "took", server.Took)
}

const (
	// recheckAgain is how often a database that did not answer is asked again which of the remembered keys are still good.
	recheckAgain = time.Second
	// recheckTimeout bounds one time.
	recheckTimeout = 10 * time.Second
)

// forgetChanged drops what this node remembers of what another one changed. Where events were lost it asks the database, and keeps
// what it remembers while that is away, as nobody can have changed it since.
func (s *site) forgetChanged(ctx context.Context) error {
	news := s.shared.bus.Subscribe(streamTopic, userTopic, ownerTopic)
	defer news.Close()
	recheck := false
	for ctx.Err() == nil {
		waiting, cancel := ctx, context.CancelFunc(func() {})
		if recheck {
			waiting, cancel = context.WithTimeout(ctx, recheckAgain)
		}
		e, err := news.Next(waiting)
		cancel()
		if err == nil && !e.Resync {
			s.shared.known.Forget(e.Key)
		}
		switch {
		case err != nil: // time to ask again, or to stop
		case e.Resync:
			recheck = true
			s.policies.AllChanged()
		case e.Topic == streamTopic:
			s.streams.Forget(e.Key)
			s.policies.StreamChanged(e.Key)
			continue
		case e.Topic == ownerTopic:
			s.policies.OwnerChanged(e.Key)
			continue
		case e.Topic == userTopic:
			s.standings.ForgetUser(e.Key)
			continue
		}
		if recheck && ctx.Err() == nil {
			bounded, cancel := context.WithTimeout(ctx, recheckTimeout)
			recheck = s.streams.Recheck(bounded) != nil
			cancel()
			if !recheck {
				s.shared.known.ForgetAll() // the database is there, so they are known again as soon as they are asked for
			}
		}
	}
	return nil
}
