package stream

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"mediad/store/db"
)

// Dead is a grant that is on air but no longer good.
type Dead struct {
	Grant   Grant
	Refusal *Refusal
}

// CheckOnAir looks at the grants of all sessions that last, those without a publisher as well (their KeyID may be empty),
// and returns the ones
// whose key died or whose stream was disabled since, by this process or another. Called each second it cuts a publisher
// in time, and while the database is away it is what lets the keys of sessions stay good for their return: they are
// remembered until a call leaves them out. So are those that break a rule of their stream, or are more than their owner may have. An
// error, for a database that does not answer, condemns nobody.
func (s *Service) CheckOnAir(ctx context.Context, on []OnAir) ([]Dead, error) {
	onAir := make(map[Grant]bool, len(on))
	for _, g := range on {
		onAir[Grant{StreamID: g.StreamID, KeyID: g.KeyID}] = true
	}
	defer s.keys.setOnAir(onAir)
	asked := slices.Clip(on)
	for _, g := range s.keys.inDoubt() {
		if !onAir[Grant{StreamID: g.StreamID, KeyID: g.KeyID}] {
			asked = append(asked, OnAir{Grant: g})
		}
	}
	dead, err := s.check(ctx, asked)
	s.forget(dead)
	return slices.DeleteFunc(dead, func(d Dead) bool { return !onAir[Grant{StreamID: d.Grant.StreamID, KeyID: d.Grant.KeyID}] }), err
}

// Forget has it asked, by the next CheckOnAir, what is left of a stream's keys: another node changed something of it. Until then they open
// nothing where the database is away, but for the return of what is on air.
func (s *Service) Forget(streamID string) { s.keys.doubt(streamID) }

// forget drops the keys that are no longer good. Where a rule of the stream is broken, they are.
func (s *Service) forget(dead []Dead) {
	for _, d := range dead {
		switch {
		case d.Refusal.Broken():
		case d.Refusal.Disabled():
			s.keys.forgetStream(d.Grant.StreamID)
		default:
			s.keys.forgetGrant(d.Grant)
		}
	}
}

// Recheck asks for every key that is remembered whether it is still good, and forgets those that are not: what another node
// changed may not have been heard. An error, for a database that does not answer, forgets nothing, and is to be tried again.
func (s *Service) Recheck(ctx context.Context) error {
	for grants := range slices.Chunk(s.keys.grants(), maxChecked) {
		remembered := make([]OnAir, len(grants))
		for i, g := range grants {
			remembered[i].Grant = g
		}
		dead, err := s.check(ctx, remembered)
		if err != nil {
			return err
		}
		s.forget(dead)
	}
	return nil
}

// maxChecked bounds a statement.
const maxChecked = 500

// check returns the grants that are no longer good and remembers the others.
func (s *Service) check(ctx context.Context, on []OnAir) ([]Dead, error) {
	keyIDs, streamIDs := []string{}, make([]string, 0, len(on))
	for _, g := range on {
		streamIDs = append(streamIDs, g.StreamID)
		if g.KeyID != "" {
			keyIDs = append(keyIDs, g.KeyID)
		}
	}
	if len(on) == 0 {
		return nil, nil
	}
	q := s.db.Read(ctx)
	keyRows, err := q.FindStreamKeys(keyIDs)
	var streamRows []db.Stream
	if err == nil {
		streamRows, err = q.FindStreams(streamIDs)
	}
	if err != nil {
		return nil, fmt.Errorf("stream: keys on air: %w", err)
	}
	owners, err := keyOwners(q, keyRows, streamRows)
	if err != nil {
		return nil, fmt.Errorf("stream: owners on air: %w", err)
	}
	keys, streams := byID(keyRows, func(k db.StreamKey) string { return k.ID }), byID(streamRows, func(r db.Stream) string { return r.ID })
	over, err := s.surplus(q, on, streams)
	if err != nil {
		return nil, fmt.Errorf("stream: broadcasts of a user: %w", err)
	}
	now := s.now()
	var dead []Dead
	for _, one := range on {
		g := one.Grant
		key, keyThere := keys[g.KeyID]
		stream, streamThere := streams[g.StreamID]
		renamed := streamThere && g.Stream != "" && db.NormSlug(g.Stream) != stream.SlugNorm // it was let in under a name that is another's now
		if !streamThere || renamed || !keyThere && g.KeyID != "" {
			dead = append(dead, Dead{g, &Refusal{Reason: "unknown", Stream: g.Stream, StreamID: g.StreamID, KeyID: g.KeyID}})
			continue
		}
		o := opener{Key: key, Stream: stream}
		if keyThere {
			o.Owner = owners[stream.OwnerID]
		}
		if refusal := o.judge(now); refusal != nil {
			dead = append(dead, Dead{g, refusal})
			continue
		}
		broken := one.broken(rulesOf(stream))
		if broken == "" && over[g.StreamID] {
			broken = brokenSessions
		}
		if broken != "" { // the key stays good
			dead = append(dead, Dead{g, &Refusal{Reason: broken, Stream: stream.Slug, StreamID: g.StreamID, KeyID: g.KeyID}})
		}
		switch {
		case keyThere:
			s.keys.put(key.Hash, o, now)
		case s.open: // only then is a name a key
			s.keys.put(hashSecret(stream.Slug), o, now)
		}
	}
	return dead, nil
}

// keyOwners finds the owners of streams that are published to by a key.
func keyOwners(q db.Queries, keys []db.StreamKey, streams []db.Stream) (map[string]db.User, error) {
	var ids []string
	for _, row := range streams {
		if slices.ContainsFunc(keys, func(k db.StreamKey) bool { return k.StreamID == row.ID }) && !slices.Contains(ids, row.OwnerID) {
			ids = append(ids, row.OwnerID)
		}
	}
	owners, err := q.FindUsers(ids)
	return byID(owners, func(u db.User) string { return u.ID }), err
}

func byID[T any](rows []T, id func(T) string) map[string]T {
	m := make(map[string]T, len(rows))
	for _, r := range rows {
		m[id(r)] = r
	}
	return m
}

// MaskAddr shows where an address is from without showing whose it is: 203.0.113.x, 2001:db8:1::/48. What is no address
// is not shown at all.
func MaskAddr(remote string) string {
	addr, err := parseAddr(remote)
	if err != nil {
		return ""
	}
	if addr = addr.Unmap().WithZone(""); addr.Is4() {
		b := addr.As4()
		return fmt.Sprintf("%d.%d.%d.x", b[0], b[1], b[2])
	}
	if addr.IsLoopback() {
		return addr.String() // it is everybody's
	}
	prefix, err := addr.Prefix(48)
	if err != nil {
		return ""
	}
	return prefix.String()
}

func parseAddr(remote string) (netip.Addr, error) {
	if withPort, err := netip.ParseAddrPort(remote); err == nil {
		return withPort.Addr(), nil
	}
	return netip.ParseAddr(remote)
}

// Close forgets on all nodes what is remembered of a stream's keys: its owner is leaving.
func (s *Service) Close(ctx context.Context, streamID string) {
	s.keys.forgetStream(streamID)
	s.changed(ctx, streamID)
}
