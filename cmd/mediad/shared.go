package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"mediad/api"
	"mediad/api/limit"
	"mediad/configs"
	"mediad/store/bus"
	"mediad/store/db"
	"mediad/store/pgbus"
	"mediad/store/presence"
	"mediad/store/redis"
)

// shared is what the nodes of a site have together for a moment. Alone a node has it in process.
type shared struct {
	bus    bus.Bus
	limits limit.Shared  // nil: this node counts alone
	people presence.Set  // nil likewise
	client *redis.Client // nil: there is no Redis
	events news          // nil: no other node is to be heard
	counts *redis.Bus    // events once more, where it is known whether all that others told have come; nil: it is not
	known  *api.Known    // what this node answered, for while the database is away; none of it is shared
}

// news is a bus with others at its other end.
type news interface {
	bus.Bus
	Run(ctx context.Context) error
}

// The topics of the bus. Keys are ids.
const (
	streamTopic = "stream" // its keys, or whether it is disabled
	userTopic   = "user"   // role, state or sessions
	ownerTopic  = "owner"  // who may watch what the user has
	rowTopic    = "row"    // rows that are remembered: their table, and their ids where they are known
	videoTopic  = "video"  // what it is, and who may watch it
)

// openShared prepares what the configuration names. Whether the server is there is asked later: nobody needs it to begin. Without Redis nodes
// hear of each other's changes by the database they share. forget is told of rows that other nodes changed, the zero db.Change: of any.
func openShared(c *configs.Config, database *db.DB, log *slog.Logger, forget func(db.Change)) (shared, error) {
	if c.Redis.URL == "" {
		if database.Engine() == db.SQLite {
			return shared{bus: &bus.Local{}, known: api.NewKnown()}, nil
		}
		events := pgbus.New(database, log)
		return shared{bus: events, events: events, known: api.NewKnown()}, nil
	}
	client, err := redis.Open(c.Redis.URL, log)
	if err != nil {
		return shared{}, err
	}
	events := redis.NewBus(client, func(e bus.Event) {
		switch {
		case e.Resync:
			forget(db.Change{})
		case e.Topic == rowTopic:
			eachChange(e.Key, forget)
		case e.Topic == eventTopic:
			_, key, _ := strings.Cut(e.Key, " ")
			eachRowOf(key, forget)
		}
	})
	return shared{
		bus: events, limits: redis.NewCounts(client), people: redis.NewPresence(client), client: client, events: events, counts: events, known: api.NewKnown(),
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

// rowsChanged tells the other nodes of rows that they may remember. A node that could not be told drops all of them as soon as it can be.
func (s shared) rowsChanged(ctx context.Context, log *slog.Logger, rows []db.Change) {
	if s.counts == nil {
		return // nobody answers from memory, or there is nobody else
	}
	ids := map[string][]string{} // by table; with "" among them it is any row
	for _, row := range rows {
		ids[row.Table] = append(ids[row.Table], row.ID)
	}
	for table, changed := range ids {
		key := table
		if !slices.Contains(changed, "") {
			key += " " + strings.Join(changed, " ")
		}
		if err := s.counts.Publish(ctx, bus.Event{Topic: rowTopic, Key: key}); err != nil {
			log.DebugContext(ctx, "other nodes not told of a change, they are later", "topic", rowTopic, "error", err)
		}
	}
}

// eachChange reads what rowsChanged wrote.
func eachChange(key string, changed func(db.Change)) {
	table, ids, single := strings.Cut(key, " ")
	if !single {
		changed(db.Change{Table: table})
		return
	}
	for id := range strings.SplitSeq(ids, " ") {
		changed(db.Change{Table: table, ID: id})
	}
}

// eachRowOf tells which row an event is about, by its key. Who changed the row has told so already; but not where that node has ended in between,
// or did not reach Redis.
func eachRowOf(key string, changed func(db.Change)) {
	kind, id, _ := strings.Cut(key, ":")
	switch kind {
	case "user":
		changed(db.Change{Table: db.User{}.TableName(), ID: id})
	case "stream":
		changed(db.Change{Table: db.Stream{}.TableName(), ID: id})
	}
}

// heard says whether this node knows of every change to rows that another one has told of. What is told over the database is not counted, so
// nodes without Redis never know.
func (s shared) heard(ctx context.Context, engine db.Engine, told int64) bool {
	if s.counts == nil {
		return engine == db.SQLite // which has one node
	}
	return s.counts.Heard(ctx, told)
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
	news := s.shared.bus.Subscribe(streamTopic, userTopic, ownerTopic, videoTopic)
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
			s.db.Forget(db.Change{Table: db.Stream{}.TableName(), ID: e.Key})
			s.streams.Forget(e.Key)
			s.policies.StreamChanged(e.Key)
			continue
		case e.Topic == ownerTopic:
			s.db.Forget(db.Change{Table: db.Stream{}.TableName()})
			s.policies.OwnerChanged(e.Key)
			continue
		case e.Topic == videoTopic:
			s.policies.VideoChanged(e.Key)
			continue
		case e.Topic == userTopic:
			s.db.Forget(db.Change{Table: db.User{}.TableName(), ID: e.Key})
			s.standings.ForgetUser(e.Key)
			continue
		}
		if recheck && ctx.Err() == nil {
			bounded, cancel := context.WithTimeout(ctx, recheckTimeout)
			recheck = s.streams.Recheck(bounded) != nil
			cancel()
			if !recheck {
				s.shared.known.ForgetAll() // the database is there, so they are known again as soon as they are asked for
				s.db.Forget(db.Change{})
			}
		}
	}
	return nil
}
