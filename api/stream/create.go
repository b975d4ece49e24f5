package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mediad/api/audit"
	"mediad/api/text"
	"mediad/store/db"
)

// Create is what a new stream needs. Zero values mean the default.
type Create struct {
	OwnerID          string
	Slug             string // [a-z0-9-]{3,40}; "": a random one
	Title            string // 1 to 120 characters; "": the slug
	Description      string // up to 2000
	Category         string // the slug of one in the site's list; "": none
	Tags             []string
	Language         string // BCP 47
	Visibility       string // public (default), unlisted, followers, private
	ReplayVisibility string // as visibility, which is the default
	Latency          string // low (default), normal
	Mature           bool
	Record           *bool // nil: as configured
	DVRS             *int  // 0 to 86400; nil: as configured
	ResumeWindowS    *int  // 0 to 600; nil: as configured
	MaxViewers       *int
	Protocols        []string // by which may be published; nil: any
	MaxBitrateBPS    *int64   // nil: what the server takes
	KeyLabel         string   // up to 40
	// Limited: its owner may not have more than Options.MaxStreams.
	Limited bool
}

// Created is a new stream with its first key, whose secret is nowhere else.
type Created struct {
	Stream db.Stream
	Key    db.StreamKey
	Secret string
}

// Limits of what people write.
const (
	MaxTitle       = 120
	MaxDescription = 2000
	MaxTags        = 10
	MaxTag         = 30
	MaxLabel       = 40
	maxReason      = 200
	maxDVRS        = 86400
	maxResumeS     = 600
)

// Invalid is returned for values that are not allowed.
type Invalid struct { //nolint:errname // it lists what a form shows
	Fields []InvalidField
}

// InvalidField is one of them; Code is one of errors[].code of the API.
// Min and Max are the bounds, where there are any.
type InvalidField struct {
	Name, Code, Message string
	Max                 int
	Min                 *int
}

// Error implements error.
func (e *Invalid) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.Name + ": " + f.Message
	}
	return "stream: " + strings.Join(parts, "; ")
}

func (e *Invalid) add(name, code, message string) {
	e.Fields = append(e.Fields, InvalidField{Name: name, Code: code, Message: message})
}

func (e *Invalid) tooLong(name string, limit int, what string) {
	e.Fields = append(e.Fields, InvalidField{
		Name: name, Code: "too_long", Message: "at most " + strconv.Itoa(limit) + " " + what, Max: limit,
	})
}

func (e *Invalid) outOfRange(name string, least, most int) {
	e.Fields = append(e.Fields, InvalidField{
		Name: name, Code: "out_of_range", Message: strconv.Itoa(least) + " to " + strconv.Itoa(most), Min: &least, Max: most,
	})
}

// Create makes a stream and its first key.
func (s *Service) Create(ctx context.Context, c Create) (Created, error) {
	row, err := s.prepare(c)
	if err != nil {
		return Created{}, err
	}
	key, secret, err := s.newKey(row.ID, c.KeyLabel, nil)
	if err != nil {
		return Created{}, err
	}
	err = s.db.Tx(ctx, func(q db.Queries) error {
		owner, err := q.FindOpenUser(c.OwnerID)
		if err != nil {
			return err
		}
		if c.Limited {
			n, err := q.CountStreamsOf(c.OwnerID)
			if err != nil {
				return err
			}
			if most := allowed(owner.Limits.Streams, s.maxStreams); n >= int64(most) {
				return &LimitError{"streams", most}
			}
		}
		if err := checkCategory(q, row.Category, ""); err != nil {
			return err
		}
		if err := q.CreateStream(row); err != nil {
			return err
		}
		if err := q.CreateStreamKey(key); err != nil {
			return err
		}
		return s.note(ctx, q, audit.Entry{
			Action: "stream.create", TargetType: "stream", TargetID: row.ID, After: changeable(row),
		})
	})
	if errors.Is(err, db.ErrDuplicate) {
		return Created{}, fmt.Errorf("stream: %s: %w", row.Slug, ErrSlugTaken)
	}
	if err != nil {
		return Created{}, fmt.Errorf("stream: create: %w", err)
	}
	s.log.InfoContext(ctx, "stream created", "stream", row.Slug, "stream_id", row.ID)
	return Created{Stream: row, Key: key, Secret: secret}, nil
}

// allowed is what an admin allows a user, or else what everybody may have.
func allowed(own *int64, everybody int) int {
	if own != nil {
		return int(*own)
	}
	return everybody
}

// Ensure makes the stream if no stream has that slug, and says whether it did.
func (s *Service) Ensure(ctx context.Context, c Create) (Created, bool, error) {
	if there, err := s.Find(ctx, c.Slug); err == nil {
		return Created{Stream: there}, false, nil
	} else if !errors.Is(err, ErrNotFound) {
		return Created{}, false, err
	}
	made, err := s.Create(ctx, c)
	if errors.Is(err, ErrSlugTaken) { // another process was quicker
		there, err := s.Find(ctx, c.Slug)
		return Created{Stream: there}, false, err
	}
	return made, err == nil, err
}

func (s *Service) prepare(c Create) (db.Stream, error) {
	var bad Invalid
	row := s.row(c.OwnerID)
	if row.Slug = c.Slug; row.Slug == "" {
		row.Slug = randomSlug()
	}
	if !validSlug(row.Slug) {
		bad.add("slug", "invalid_format", slugHelp)
	}
	if row.Title = text.Line(c.Title); row.Title == "" {
		row.Title = row.Slug
	}
	row.Description = text.Clean(c.Description)
	row.Category, row.Language, row.Mature, row.MaxViewers = c.Category, c.Language, c.Mature, c.MaxViewers
	row.Tags = cleanTags(c.Tags)
	row.PublishProtocols, row.PublishMaxBitrateBPS = joinProtocols(c.Protocols), c.MaxBitrateBPS
	setString(&row.Visibility, c.Visibility)
	row.ReplayVisibility = row.Visibility
	setString(&row.ReplayVisibility, c.ReplayVisibility)
	setString(&row.Latency, c.Latency)
	set(&row.Record, c.Record)
	set(&row.DVRS, c.DVRS)
	set(&row.ResumeWindowS, c.ResumeWindowS)
	checkText(&bad, row, c.KeyLabel)
	checkChoices(&bad, row)
	if len(bad.Fields) > 0 {
		return db.Stream{}, &bad
	}
	id, err := db.NewID()
	if err != nil {
		return db.Stream{}, fmt.Errorf("stream: id: %w", err)
	}
	row.ID = id
	return row, nil
}

// row has the defaults.
func (s *Service) row(owner string) db.Stream {
	now := db.At(s.now())
	return db.Stream{
		OwnerID: owner, Visibility: "public", ReplayVisibility: "public", Latency: "low", Record: s.record,
		DVRS: seconds(s.dvr, maxDVRS), ResumeWindowS: seconds(s.resumeWindow, maxResumeS),
		CreatedAt: now, UpdatedAt: now, Version: 1,
	}
}

func checkText(bad *Invalid, row db.Stream, label string) {
	for _, c := range []struct {
		name, value string
		limit       int
	}{
		{"title", row.Title, MaxTitle}, {"description", row.Description, MaxDescription}, {"label", label, MaxLabel},
	} {
		if text.Len(c.value) > c.limit {
			bad.tooLong(c.name, c.limit, "characters")
		}
	}
	if len(row.Tags) > MaxTags {
		bad.tooLong("tags", MaxTags, "tags")
	}
	for i, tag := range row.Tags {
		if text.Len(tag) > MaxTag {
			bad.tooLong("tags/"+strconv.Itoa(i), MaxTag, "characters")
		}
	}
	if row.Category != "" && !categoryRule.MatchString(row.Category) {
		bad.add("category", "invalid_format", "1 to 40 characters of a-z, 0-9 and -")
	}
	if row.Language != "" && !languageRule.MatchString(row.Language) {
		bad.add("language", "invalid_format", "a language tag such as en or zh-CN")
	}
}

func checkChoices(bad *Invalid, row db.Stream) {
	for _, c := range []struct {
		name, value string
		allowed     []string
	}{
		{"visibility", row.Visibility, visibilities()}, {"replay_visibility", row.ReplayVisibility, visibilities()},
		{"latency", row.Latency, latencies()},
	} {
		if !oneOf(c.value, c.allowed) {
			bad.add(c.name, "invalid_enum", "one of "+strings.Join(c.allowed, ", "))
		}
	}
	if row.DVRS < 0 || row.DVRS > maxDVRS {
		bad.outOfRange("dvr_s", 0, maxDVRS)
	}
	if row.ResumeWindowS < 0 || row.ResumeWindowS > maxResumeS {
		bad.outOfRange("resume_window_s", 0, maxResumeS)
	}
	if row.MaxViewers != nil && *row.MaxViewers < 1 {
		bad.add("max_viewers", "out_of_range", "1 or more")
	}
	checkRules(bad, row)
}

// cleanTags drops what is empty, or there already in another spelling. Of too many it gives one too many.
func cleanTags(tags []string) []string {
	var clean []string
	known := map[string]bool{}
	for _, tag := range tags {
		tag = text.Line(tag)
		norm := db.NormTag(tag)
		if tag == "" || known[norm] {
			continue
		}
		known[norm] = true
		if clean = append(clean, tag); len(clean) > MaxTags {
			break
		}
	}
	return clean
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

func setString(field *string, value string) {
	if value != "" {
		*field = value
	}
}

// seconds rounds d up to whole seconds within the limit.
func seconds(d time.Duration, limit int) int {
	return min(limit, int((d+time.Second-1)/time.Second))
}
