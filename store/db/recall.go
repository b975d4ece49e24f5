package db

import (
	"cmp"
	"context"
	"slices"
	"time"

	"mediad/store/cache"
)

const (
	// recallUsers and recallStreams are how long rows are remembered of which nobody has told that they changed.
	recallUsers, recallStreams = 10 * time.Minute, time.Minute
	// recallBear is how long after that they are still given where the database cannot be asked: nobody can change them meanwhile.
	recallBear = 10 * time.Minute
	// recallAbsent is how long it is remembered that there is no such row.
	recallAbsent = 5 * time.Second
	// maxRecalled bounds the rows of each kind: some 10 MB.
	maxRecalled = 8192
)

// memory has rows of users and streams that were read, until they change.
type memory struct {
	users   *cache.Rows[User]
	streams *cache.Rows[Stream]
}

func newMemory(asked func(cache string, hit bool)) memory {
	of := func(name string) func(bool) {
		if asked == nil {
			return nil
		}
		return func(hit bool) { asked(name, hit) }
	}
	return memory{
		users: cache.New(cache.Options[User]{
			ID: func(u User) string { return u.ID }, Name: func(u User) string { return u.Username }, TTL: recallUsers, Bear: recallBear, AbsentTTL: recallAbsent,
			NotFound: ErrNotFound, Max: maxRecalled, Asked: of("user"),
		}),
		streams: cache.New(cache.Options[Stream]{
			ID: func(s Stream) string { return s.ID }, Name: func(s Stream) string { return s.SlugNorm }, TTL: recallStreams, Bear: recallBear, AbsentTTL: recallAbsent,
			NotFound: ErrNotFound, Max: maxRecalled, Asked: of("stream"),
		}),
	}
}

// Remembered is how many rows are remembered.
func (d *DB) Remembered() int { return d.memory.users.Len() + d.memory.streams.Len() }

type heard struct{}

// Heard marks a context whose reads may be answered by what this process remembers of users and streams: it has heard of every change that there
// was when the call began. Whatever is decided by what it reads, and then written, is not marked.
func Heard(ctx context.Context) context.Context { return context.WithValue(ctx, heard{}, true) }

func hasHeard(ctx context.Context) bool { return ctx.Value(heard{}) != nil }

// RecallUser is FindUser from memory where ctx is marked as Heard, and from Read elsewhere, where memory only answers if the database does not;
// so are the others. What they give out is shared and must not be changed.
func (d *DB) RecallUser(ctx context.Context, id string) (User, error) {
	load := func(ctx context.Context) (User, error) { return d.Read(ctx).FindUser(id) }
	if !hasHeard(ctx) {
		return d.memory.users.FreshByID(ctx, id, load)
	}
	return d.memory.users.ByID(ctx, id, load)
}

// RecallUserByName is FindUserByName.
func (d *DB) RecallUserByName(ctx context.Context, username string) (User, error) {
	load := func(ctx context.Context) (User, error) { return d.Read(ctx).FindUserByName(username) }
	if !hasHeard(ctx) {
		return d.memory.users.FreshByName(ctx, username, load)
	}
	return d.memory.users.ByName(ctx, username, load)
}

// RecallUsers is FindUsers.
func (d *DB) RecallUsers(ctx context.Context, ids []string) ([]User, error) {
	var known []User
	missing, begun := ids, d.memory.users.Begun()
	if hasHeard(ctx) {
		known, missing, begun = d.memory.users.Many(ids)
	}
	if len(missing) == 0 {
		return known, nil
	}
	read, err := d.Read(ctx).FindUsers(missing)
	if err == nil {
		d.memory.users.Keep(begun, read...)
	} else if read, err = d.memory.users.Borne(missing, err); err != nil {
		return nil, err
	}
	return append(known, read...), nil
}

// RecallStream is FindStream.
func (d *DB) RecallStream(ctx context.Context, id string) (Stream, error) {
	load := func(ctx context.Context) (Stream, error) { return d.Read(ctx).FindStream(id) }
	if !hasHeard(ctx) {
		return d.memory.streams.FreshByID(ctx, id, load)
	}
	return d.memory.streams.ByID(ctx, id, load)
}

// RecallStreamBySlug is FindStreamBySlug.
func (d *DB) RecallStreamBySlug(ctx context.Context, slug string) (Stream, error) {
	load := func(ctx context.Context) (Stream, error) { return d.Read(ctx).FindStreamBySlug(slug) }
	if !hasHeard(ctx) {
		return d.memory.streams.FreshByName(ctx, NormSlug(slug), load)
	}
	return d.memory.streams.ByName(ctx, NormSlug(slug), load)
}

// StreamLists are the lists of streams that visitors see; each method is that of Queries.
type StreamLists interface {
	ListStreams(f StreamFilter, limit int) ([]Stream, error)
	FindStreamsBySlug(f StreamFilter, slugs []string) ([]Stream, error)
}

// RecallLists gives lists whose rows are from memory where ctx is marked as Heard, and those of ReadReplica elsewhere.
func (d *DB) RecallLists(ctx context.Context) StreamLists {
	if !hasHeard(ctx) {
		return d.ReadReplica(ctx)
	}
	return recalled{d.Read(ctx), d.memory.streams}
}

type recalled struct {
	q       Queries
	streams *cache.Rows[Stream]
}

// ListStreams asks which streams there are, and for those alone that are not remembered.
func (r recalled) ListStreams(f StreamFilter, limit int) ([]Stream, error) {
	var all []Stream
	for len(all) < limit {
		want := limit - len(all)
		ids, err := r.q.listStreamIDs(f, want)
		if err != nil {
			return nil, err
		}
		rows, missing, begun := r.streams.Many(ids)
		if len(missing) > 0 {
			read, err := r.q.FindStreams(missing)
			if err == nil {
				err = r.q.loadTags(read)
			}
			if err != nil {
				return nil, err
			}
			r.streams.Keep(begun, read...)
			rows = append(rows, read...)
		}
		// One that is not in the list any more was changed since it was asked which are.
		rows = slices.DeleteFunc(rows, func(s Stream) bool { return !f.admits(s) })
		slices.SortFunc(rows, func(a, b Stream) int { return cmp.Compare(b.ID, a.ID) })
		all = append(all, rows...)
		if len(ids) < want {
			break
		}
		f.Before = ids[len(ids)-1]
	}
	return all, nil
}

// FindStreamsBySlug asks for those that are not remembered.
func (r recalled) FindStreamsBySlug(f StreamFilter, slugs []string) ([]Stream, error) {
	norms := make([]string, len(slugs))
	for i, slug := range slugs {
		norms[i] = NormSlug(slug)
	}
	found, missing, begun := r.streams.ManyByName(norms)
	if len(missing) > 0 {
		read, err := r.q.FindStreamsBySlug(StreamFilter{}, missing)
		if err != nil {
			return nil, err
		}
		r.streams.Keep(begun, read...)
		found = append(found, read...)
	}
	f = StreamFilter{Listed: f.Listed, Category: f.Category, Tag: f.Tag} // as the statement has it
	return slices.DeleteFunc(found, func(s Stream) bool { return !f.admits(s) }), nil
}
