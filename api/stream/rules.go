package stream

import (
	"context"
	"slices"
	"strings"
	"time"

	"mediad/api/caller"
	"mediad/api/patch"
	"mediad/store/db"
)

// Protocols are those by which a stream may be published to, as rules name them.
func Protocols() []string { return []string{"rtmp", "rtmps", "whip", "rtsp", "srt"} }

// What a rule for the bit rate may say, in bits a second: less is no picture, more the server does not take.
const (
	minBitrateBPS = 100_000
	maxBitrateBPS = 200_000_000
)

// The reasons of a Refusal where the key is good and a rule is broken.
const (
	brokenProtocol = "protocol"
	brokenBitrate  = "bitrate"
	brokenSessions = "sessions"
)

// Rules are what a stream asks of its publishers. The zero value asks nothing.
type Rules struct {
	// Protocols with commas between them; "": any.
	Protocols string
	// MaxBitrateBPS is the most that they may send; 0: what the server takes.
	MaxBitrateBPS int64
}

func rulesOf(row db.Stream) Rules {
	r := Rules{Protocols: row.PublishProtocols}
	if row.PublishMaxBitrateBPS != nil {
		r.MaxBitrateBPS = *row.PublishMaxBitrateBPS
	}
	return r
}

// allows says whether may be published by the protocol. What is pulled by RTSP over TLS is RTSP.
func (r Rules) allows(protocol string) bool {
	if protocol == "rtsps" {
		protocol = "rtsp"
	}
	return r.Protocols == "" || slices.Contains(splitProtocols(r.Protocols), protocol)
}

// Broken says that the key is good, and that a rule keeps the publisher out.
func (r *Refusal) Broken() bool {
	return r.Reason == brokenProtocol || r.Reason == brokenBitrate || r.Reason == brokenSessions
}

// Allow says whether a publisher with a good key may begin by the protocol now. The error is a *Refusal, or the database's: who then lets the
// publisher in keeps to the rule later, by CheckOnAir.
func (s *Service) Allow(ctx context.Context, g Grant, protocol string) error {
	refused := &Refusal{Stream: g.Stream, StreamID: g.StreamID, KeyID: g.KeyID}
	if !g.Rules.allows(protocol) {
		refused.Reason = brokenProtocol
		return refused
	}
	most, err := s.maxLive()
	if err != nil || most == 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, keyTimeout)
	defer cancel()
	q := s.db.Read(ctx)
	row, err := q.FindStream(g.StreamID)
	if err != nil {
		return err
	}
	others, err := othersOnAir(q, row)
	if err != nil || others < most {
		return err
	}
	if free, err := unlimited(q, []string{row.OwnerID}); err != nil || free[row.OwnerID] {
		return err
	}
	refused.Reason = brokenSessions
	return refused
}

// othersOnAir counts the broadcasts of the stream's owner on other streams, on all nodes. There are never more open sessions than streams
// on air.
func othersOnAir(q db.Queries, row db.Stream) (int, error) {
	open, err := q.OpenSessions()
	if err != nil {
		return 0, err
	}
	ids := make([]string, 0, len(open))
	for _, session := range open {
		if session.StreamID != row.ID && !slices.Contains(ids, session.StreamID) {
			ids = append(ids, session.StreamID)
		}
	}
	streams, err := q.FindStreams(ids)
	n := 0
	for _, one := range streams {
		if one.OwnerID == row.OwnerID {
			n++
		}
	}
	return n, err
}

// unlimited are those of the users who are admins: nobody would raise their limit.
func unlimited(q db.Queries, ids []string) (map[string]bool, error) {
	users, err := q.FindUsers(ids)
	free := map[string]bool{}
	for _, u := range users {
		free[u.ID] = caller.Role(u.Role).AtLeast(caller.Admin)
	}
	return free, err
}

// OnAir is a publisher, or a session that waits for its publisher's return.
type OnAir struct {
	Grant
	// Protocol and BitrateBPS are by what it sends and how much, over some seconds; "" and 0: nobody sends.
	Protocol   string
	BitrateBPS int64
	// Since is when it came on air; zero: it is not, and not counted.
	Since time.Time
}

// broken says which rule of its stream one on air breaks: rules may have been made since it began.
func (o OnAir) broken(r Rules) string {
	switch {
	case o.Protocol != "" && !r.allows(o.Protocol):
		return brokenProtocol
	case r.MaxBitrateBPS > 0 && o.BitrateBPS > r.MaxBitrateBPS:
		return brokenBitrate
	}
	return ""
}

// surplus are those of the broadcasts that are more than their owner may have at a time: of each owner the newest.
func (s *Service) surplus(q db.Queries, on []OnAir, streams map[string]db.Stream) (map[string]bool, error) {
	most, err := s.maxLive()
	if err != nil || most == 0 {
		return nil, err
	}
	byOwner := map[string][]OnAir{}
	for _, one := range on {
		if row, ok := streams[one.StreamID]; ok && !one.Since.IsZero() {
			byOwner[row.OwnerID] = append(byOwner[row.OwnerID], one)
		}
	}
	var crowded []string
	for owner, own := range byOwner {
		if len(own) > most {
			crowded = append(crowded, owner)
		}
	}
	if len(crowded) == 0 {
		return nil, nil
	}
	free, err := unlimited(q, crowded)
	if err != nil {
		return nil, err
	}
	over := map[string]bool{}
	for _, owner := range crowded {
		if free[owner] {
			continue
		}
		own := byOwner[owner]
		slices.SortFunc(own, func(a, b OnAir) int { return a.Since.Compare(b.Since) })
		for _, one := range own[most:] {
			over[one.StreamID] = true
		}
	}
	return over, nil
}

// PublishBody are the rules of a stream as its owner sees them.
type PublishBody struct {
	Protocols     []string `json:"protocols" nullable:"false" doc:"rtmp, rtmps, whip, rtsp, srt; empty: any" example:"[\"rtmps\",\"srt\"]"`
	MaxBitrateBPS *int64   `json:"max_bitrate_bps" minimum:"100000" doc:"Over five seconds; null: what the server takes" example:"8000000"`
}

// NewPublishBody are the rules of a stream to be made.
type NewPublishBody struct {
	Protocols     []string `json:"protocols,omitempty" nullable:"false" doc:"rtmp, rtmps, whip, rtsp, srt; absent: any" example:"[\"rtmps\",\"srt\"]"`
	MaxBitrateBPS *int64   `json:"max_bitrate_bps,omitempty" nullable:"false" doc:"100000 to 200000000; absent: what the server takes" example:"8000000"`
}

func (b *NewPublishBody) orNone() NewPublishBody {
	if b == nil {
		return NewPublishBody{}
	}
	return *b
}

// PublishPatch is what may be changed of the rules. Whoever is on air and breaks the new ones is cut within seconds.
type PublishPatch struct {
	Protocols     patch.Field[[]string] `json:"protocols,omitempty" doc:"rtmp, rtmps, whip, rtsp, srt; null: any" example:"[\"rtmps\",\"srt\"]"`
	MaxBitrateBPS patch.Field[int64]    `json:"max_bitrate_bps,omitempty" doc:"100000 to 200000000; null: what the server takes" example:"8000000"`
}

func (p PublishPatch) apply(row *db.Stream, none bool) {
	if none {
		row.PublishProtocols, row.PublishMaxBitrateBPS = "", nil
		return
	}
	if p.Protocols.Present {
		row.PublishProtocols = joinProtocols(p.Protocols.Value)
	}
	p.MaxBitrateBPS.ApplyPtr(&row.PublishMaxBitrateBPS)
}

func publishBody(row db.Stream) *PublishBody {
	return &PublishBody{Protocols: splitProtocols(row.PublishProtocols), MaxBitrateBPS: row.PublishMaxBitrateBPS}
}

// joinProtocols puts what is named once and in one order.
func joinProtocols(names []string) string {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	return strings.Join(names, ",")
}

func splitProtocols(text string) []string {
	if text == "" {
		return []string{}
	}
	return strings.Split(text, ",")
}

func checkRules(bad *Invalid, row db.Stream) {
	for _, name := range splitProtocols(row.PublishProtocols) {
		if !slices.Contains(Protocols(), name) {
			bad.add("publish/protocols", "invalid_enum", "of "+strings.Join(Protocols(), ", "))
			break
		}
	}
	if bps := row.PublishMaxBitrateBPS; bps != nil && (*bps < minBitrateBPS || *bps > maxBitrateBPS) {
		bad.outOfRange("publish/max_bitrate_bps", minBitrateBPS, maxBitrateBPS)
	}
}
