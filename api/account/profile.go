package account

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"mediad/api/caller"
	"mediad/api/text"
	"mediad/store/db"
	"mediad/store/event"
)

// Limits of what people write about themselves.
const (
	MaxDisplayName = 50
	MaxBio         = 1000
	MaxLinks       = 5
	MaxLinkLabel   = 30
	MaxNote        = 500
	maxLinkURL     = 2000
)

// Invalid is returned for values that are not allowed.
type Invalid struct { //nolint:errname // it lists what a form shows
	Fields []InvalidField
}

// InvalidField is one of them; Code is one of errors[].code of the API. Max is the bound, where there is one.
type InvalidField struct {
	Name, Code, Message string
	Max                 int
}

// Error implements error.
func (e *Invalid) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.Name + ": " + f.Message
	}
	return "account: " + strings.Join(parts, "; ")
}

// Add notes one more value.
func (e *Invalid) Add(name, code, message string, bound int) {
	e.Fields = append(e.Fields, InvalidField{name, code, message, bound})
}

func (e *Invalid) tooLong(name string, bound int) {
	e.Add(name, "too_long", "at most "+strconv.Itoa(bound)+" characters", bound)
}

// ErrVersion is returned, wrapped, where the row was changed since the caller read it.
var ErrVersion = errors.New("it was changed meanwhile")

// Edit changes a user's own data: change gets the row as it is, and what it leaves there is cleaned, checked and stored.
// version is what the caller has read, 0: whatever it is. Address is nil where it stays.
type Edit struct {
	Version int64
	Change  func(u *db.User)
	Address *string
	// Then is run in the same transaction.
	Then func(q db.Queries, before, after db.User) error
}

// Edit makes the change.
func (s *Service) Edit(ctx context.Context, id string, e Edit) (db.User, error) {
	var after db.User
	err := s.db.Tx(ctx, func(q db.Queries) error {
		before, err := q.FindOpenUser(id)
		if err != nil {
			return err
		}
		if e.Version != 0 && e.Version != before.Version {
			return fmt.Errorf("account: %w", ErrVersion)
		}
		u := before
		if e.Change != nil {
			e.Change(&u)
		}
		if err := s.clean(&u); err != nil {
			return err
		}
		if e.Address != nil {
			if err := s.changeAddress(q, &u, *e.Address); err != nil {
				return err
			}
		}
		if err := q.SaveProfile(u, before.Version, db.At(s.now())); err != nil {
			if errors.Is(err, db.ErrNotFound) {
				return fmt.Errorf("account: %w", ErrVersion)
			}
			return err
		}
		if after, err = q.FindUser(id); err != nil {
			return err
		}
		err = event.Emit(q, event.Event{
			Type: event.UserUpdated, Key: event.User(id), OwnerID: id, ActorID: caller.Of(ctx).UserID, Data: map[string]string{"user_id": id},
		}, s.now())
		if err != nil || e.Then == nil {
			return err
		}
		return e.Then(q, before, after)
	})
	if errors.Is(err, db.ErrDuplicate) {
		return db.User{}, fmt.Errorf("account: %w", ErrEmailTaken)
	}
	if errors.Is(err, db.ErrClosed) {
		return db.User{}, err
	}
	return after, found(err)
}

func (s *Service) changeAddress(q db.Queries, u *db.User, address string) error {
	email, err := Email(address)
	if err != nil {
		return err
	}
	now, err := s.EmailOf(*u)
	if err == nil && now == email {
		return nil
	}
	if err := s.emailFree(q, email, u.ID); err != nil {
		return err
	}
	return s.setEmail(u, email)
}

// clean brings what was written into its stored form, and says what is wrong with it.
func (s *Service) clean(u *db.User) error {
	var bad Invalid
	if u.DisplayName = text.Line(u.DisplayName); u.DisplayName == "" {
		bad.Add("display_name", "too_short", "1 to 50 characters", MaxDisplayName)
	}
	if text.Len(u.DisplayName) > MaxDisplayName {
		bad.tooLong("display_name", MaxDisplayName)
	}
	if u.Bio = text.Clean(u.Bio); text.Len(u.Bio) > MaxBio {
		bad.tooLong("bio", MaxBio)
	}
	if len(u.Links) > MaxLinks {
		bad.Add("links", "too_long", "at most 5 links", MaxLinks)
	}
	links := make([]db.Link, 0, len(u.Links))
	for i, l := range u.Links {
		l.Label, l.URL = text.Line(l.Label), text.Line(l.URL)
		if text.Len(l.Label) > MaxLinkLabel {
			bad.tooLong("links/"+strconv.Itoa(i)+"/label", MaxLinkLabel)
		}
		if !webLink(l.URL) {
			bad.Add("links/"+strconv.Itoa(i)+"/url", "invalid_format", "an http or https URL", 0)
		}
		links = append(links, l)
	}
	u.Links = links
	if l := u.Settings.Locale; l != nil && text.Len(*l) > 35 {
		bad.tooLong("settings/locale", 35)
	}
	if q := u.Settings.Playback.Quality; q != nil && text.Len(*q) > 20 {
		bad.tooLong("settings/playback/quality", 20)
	}
	if len(bad.Fields) > 0 {
		return &bad
	}
	return nil
}

// webLink says whether a page may link to it: a script in a link would run on our pages.
func webLink(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= maxLinkURL && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

// RequestStreamer notes that the viewer waits to be made a streamer.
func (s *Service) RequestStreamer(ctx context.Context, id, note string) error {
	note = text.Clean(note)
	if text.Len(note) > MaxNote {
		var bad Invalid
		bad.tooLong("note", MaxNote)
		return &bad
	}
	return found(s.db.Tx(ctx, func(q db.Queries) error { return q.RequestStreamer(id, note, db.At(s.now())) }))
}
