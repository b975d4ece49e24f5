package account

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
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
	maxLocale      = 35
	maxQuality     = 20
)

// Invalid is returned for values that are not allowed.
type Invalid struct { //nolint:errname // it lists what a form shows
	Fields []InvalidField
	causes []error
}

// InvalidField is one of them; Code is one of errors[].code of the API. Min and Max are the bounds, 0: none.
type InvalidField struct {
	Name, Code, Message string
	Min, Max            int
}

// Error implements error.
func (e *Invalid) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.Name + ": " + f.Message
	}
	return "account: " + strings.Join(parts, "; ")
}

// Unwrap gives those of this package's errors that they are.
func (e *Invalid) Unwrap() []error { return e.causes }

// Add notes one more value.
func (e *Invalid) Add(name, code, message string, bound int) {
	e.Fields = append(e.Fields, InvalidField{Name: name, Code: code, Message: message, Max: bound})
}

func (e *Invalid) tooShort(name string, bound int) {
	e.Fields = append(e.Fields, InvalidField{Name: name, Code: "too_short", Message: "at least " + strconv.Itoa(bound) + " characters", Min: bound})
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

// Edit makes the change; where nothing would be another, the row stays as it is, and nobody is told.
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
		if len(u.Links) == 0 && len(before.Links) == 0 {
			u.Links = before.Links // none is stored in two ways
		}
		if after = u; reflect.DeepEqual(u, before) {
			return nil
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
	u.DisplayName = bad.displayName(u.DisplayName)
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
	bad.settings(&u.Settings)
	if len(bad.Fields) > 0 {
		return &bad
	}
	return nil
}

func (e *Invalid) displayName(name string) string {
	name = text.Line(name)
	switch n := text.Len(name); {
	case n < 1:
		e.tooShort("display_name", 1)
	case n > MaxDisplayName:
		e.tooLong("display_name", MaxDisplayName)
	}
	return name
}

// settings cleans what stands in them as text.
func (e *Invalid) settings(s *db.Settings) {
	if s.Locale != nil {
		locale := text.Line(*s.Locale)
		s.Locale = &locale
		switch {
		case text.Len(locale) > maxLocale:
			e.tooLong("settings/locale", maxLocale)
		case !localeRule.MatchString(locale):
			e.Add("settings/locale", "invalid_format", "a BCP 47 tag, as en or zh-CN", 0)
		}
	}
	if s.Playback.Quality != nil {
		quality := text.Line(*s.Playback.Quality)
		s.Playback.Quality = &quality
		switch n := text.Len(quality); {
		case n < 1:
			e.tooShort("settings/playback/quality", 1)
		case n > maxQuality:
			e.tooLong("settings/playback/quality", maxQuality)
		}
	}
}

// localeRule is the plain shape of BCP 47: language, then script, region, variants and what else there is.
var localeRule = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$`)

// webLink says whether a page may link to it: a script in a link would run on our pages.
func webLink(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= maxLinkURL && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

// Note cleans what somebody writes who would be a streamer.
func Note(note string) (string, error) {
	note = text.Clean(note)
	if text.Len(note) > MaxNote {
		var bad Invalid
		bad.tooLong("note", MaxNote)
		return "", &bad
	}
	return note, nil
}

// RequestStreamer notes that the viewer waits to be made a streamer. note is one of Note.
func (s *Service) RequestStreamer(ctx context.Context, id, note string) error {
	return found(s.db.Tx(ctx, func(q db.Queries) error { return q.RequestStreamer(id, note, db.At(s.now())) }))
}
