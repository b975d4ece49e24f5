package live

import (
	"context"
	"errors"
	"time"

	"mediad/media"
)

var errNotBuilt = errors.New("live: not built yet")

// Hub holds the streams.
type Hub struct{ o Options }

func NewHub(o Options) *Hub                  { return &Hub{o: o.withDefaults()} }
func (h *Hub) Run(ctx context.Context) error { <-ctx.Done(); return nil }
func (h *Hub) Publish(ctx context.Context, key string, p Peer) (*Publisher, error) {
	return nil, errNotBuilt
}
func (h *Hub) Restore(r Restored) (*Session, error) { return nil, errNotBuilt }
func (h *Hub) Lookup(stream string) (Status, bool)  { return Status{}, false }
func (h *Hub) Live() []Status                       { return nil }
func (h *Hub) End(stream string, r Reason) error    { return errNotBuilt }
func (h *Hub) Shutdown(ctx context.Context) error   { return errNotBuilt }

type Publisher struct{}

func (p *Publisher) Done() <-chan struct{} { return nil }
func (p *Publisher) Err() error            { return nil }
func (p *Publisher) StartEpoch(tracks [media.Kinds]*media.Track, sourceStart time.Duration, arrival time.Time, reason string) error {
	return errNotBuilt
}
func (p *Publisher) Write(au media.AccessUnit) error { return errNotBuilt }
func (p *Publisher) Repaired(kind string, n int)     {}
func (p *Publisher) Close(r Reason)                  {}
func (p *Publisher) Session() *Session               { return nil }
func (p *Publisher) Stream() string                  { return "" }
func (p *Publisher) Grant() Grant                    { return Grant{} }

type Session struct{}

func (s *Session) ID() string                     { return "" }
func (s *Session) Grant() Grant                   { return Grant{} }
func (s *Session) Stream() string                 { return "" }
func (s *Session) Start() time.Time               { return time.Time{} }
func (s *Session) Restored() *Restored            { return nil }
func (s *Session) Now() time.Duration             { return 0 }
func (s *Session) Subscribe(p Policy) *Subscriber { return nil }

type Subscriber struct{}

func (s *Subscriber) Next(ctx context.Context) (Event, error) { return Event{}, errNotBuilt }
func (s *Subscriber) Close()                                  {}
func (s *Subscriber) Drops() Drops                            { return Drops{} }
