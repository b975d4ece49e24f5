package stream

import (
	"cmp"
	"context"
	"net/url"
	"slices"

	"mediad/store/db"
)

// query is a list that was asked for.
type query struct {
	live     *bool // nil: both
	sort     string
	category string
	tag      string
	limit    int
}

// name binds cursors to the list.
func (q query) name() string {
	v := url.Values{"sort": {q.sort}, "category": {q.category}, "tag": {q.tag}}
	if q.live != nil {
		v.Set("live", map[bool]string{true: "1", false: "0"}[*q.live])
	}
	return "streams?" + v.Encode()
}

// position is where a page ended: the last stream's id, and for the sort by viewers in which of the two stretches of
// that list it was and with how many viewers.
type position struct {
	ID      string `json:"i"`
	Viewers int    `json:"v,omitempty"`
	Idle    bool   `json:"d,omitempty"`
}

// lister makes one page out of rows and of what is on air now. By viewers, streams on air come first, by their number
// and then the newest first, and those that are idle after them, the newest first. By newest it is the id, which is the
// time of making, and an item that stays shows up exactly once however others come and go.
type lister struct {
	q      db.StreamLists
	live   Live
	query  query
	filter db.StreamFilter
	onAir  map[string]int // normalised slug → viewers
	slugs  []string
	// withoutDisabled leaves out of what is idle what is disabled.
	withoutDisabled bool
}

type listed struct {
	row db.Stream
	pos position
}

// page returns up to limit streams after the position, and whether there are more.
func (s *Service) page(ctx context.Context, live Live, q query, after *position) ([]listed, bool, error) {
	l := lister{
		q: s.db.RecallLists(ctx), live: live, query: q, onAir: map[string]int{},
		filter: db.StreamFilter{Listed: true, Category: q.category, Tag: q.tag},
	}
	for _, info := range live.LiveNow() {
		if info.onAir() {
			l.slugs = append(l.slugs, info.Stream)
			l.onAir[db.NormSlug(info.Stream)] = live.Viewers(info.Stream)
		}
	}
	if after == nil {
		after = &position{}
	}
	found, err := l.collect(*after, q.limit+1) // one more tells whether there are more
	if err != nil {
		return nil, false, err
	}
	if len(found) > q.limit {
		return found[:q.limit], true, nil
	}
	return found, false, nil
}

func (l *lister) collect(after position, want int) ([]listed, error) {
	if l.query.sort == "newest" && l.query.live == nil {
		rows, err := l.older(after.ID, want)
		return positions(rows), err
	}
	onlyIdle := l.query.live != nil && !*l.query.live
	onlyLive := l.query.live != nil && *l.query.live
	var found []listed
	if !onlyIdle && !after.Idle {
		var err error
		if found, err = l.onAirAfter(after, want); err != nil {
			return nil, err
		}
	}
	if onlyLive || len(found) >= want {
		return found, nil
	}
	id := after.ID
	if !onlyIdle && !after.Idle {
		id = "" // the idle stretch begins here
	}
	idle, err := l.idle(id, want-len(found))
	return append(found, idle...), err
}

// onAirAfter reads the rows of all streams on air, of which there are never more than this process can serve.
func (l *lister) onAirAfter(after position, want int) ([]listed, error) {
	rows, err := l.q.FindStreamsBySlug(l.filter, l.slugs)
	if err != nil {
		return nil, err
	}
	all := make([]listed, 0, len(rows))
	for _, row := range rows {
		p := position{ID: row.ID}
		if l.query.sort == "viewers" {
			p.Viewers = l.onAir[row.SlugNorm]
		}
		all = append(all, listed{row, p})
	}
	slices.SortFunc(all, func(a, b listed) int { return comparePositions(a.pos, b.pos) })
	if after.ID != "" {
		all = slices.DeleteFunc(all, func(x listed) bool { return comparePositions(x.pos, after) <= 0 })
	}
	return all[:min(want, len(all))], nil
}

// comparePositions orders by viewers, most first, then by id, the newest first.
func comparePositions(a, b position) int {
	return cmp.Or(cmp.Compare(b.Viewers, a.Viewers), cmp.Compare(b.ID, a.ID))
}

// idle lists what is not on air, the newest first.
func (l *lister) idle(before string, want int) ([]listed, error) {
	var found []listed
	for len(found) < want {
		rows, err := l.older(before, want)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			before = row.ID
			_, skip := l.onAir[row.SlugNorm]
			skip = skip || l.withoutDisabled && row.DisabledAt != nil
			if !skip && len(found) < want {
				found = append(found, listed{row, position{ID: row.ID, Idle: true}})
			}
		}
		if len(rows) < want {
			break
		}
	}
	return found, nil
}

func (l *lister) older(before string, want int) ([]db.Stream, error) {
	f := l.filter
	f.Before = before
	return l.q.ListStreams(f, want)
}

func positions(rows []db.Stream) []listed {
	all := make([]listed, len(rows))
	for i, row := range rows {
		all[i] = listed{row, position{ID: row.ID}}
	}
	return all
}
