package db

import (
	"cmp"
	"slices"
	"strings"

	"gorm.io/gorm"
)

// Stream is a row of streams with its tags.
type Stream struct {
	ID               string
	Slug             string
	SlugNorm         string
	OwnerID          string
	Title            string
	Description      string
	Category         string
	Language         string
	Visibility       string
	Mature           bool
	Latency          string
	Record           bool
	ReplayVisibility string
	DVRS             int `gorm:"column:dvr_s"`
	ResumeWindowS    int `gorm:"column:resume_window_s"`
	MaxViewers       *int
	PolicyEpoch      int64 // rises with each change of who may watch
	DisabledAt       *Millis
	DisabledReason   string
	DisabledByStaff  bool // its owner may not lift it
	// PublishProtocols are those by which may be published, with commas between them; "": any.
	PublishProtocols     string
	PublishMaxBitrateBPS *int64  `gorm:"column:publish_max_bitrate_bps"`
	DeletedAt            *Millis // found no more
	HiddenAt             *Millis // its owner is leaving
	KeptVisibility       string  // what comes back if the owner does, as KeptReplayVisibility does
	KeptReplayVisibility string
	CreatedAt            Millis `gorm:"autoCreateTime:false"`
	UpdatedAt            Millis `gorm:"autoUpdateTime:false"`
	Version              int64

	// Tags are as their owner wrote them, no two with the same NormTag.
	Tags []string `gorm:"-"`
}

// TableName implements gorm's Tabler.
func (Stream) TableName() string { return "streams" }

// StreamTag is a row of stream_tags.
type StreamTag struct {
	Tag      string // normalised
	StreamID string
	Spelling string // "": as Tag, of one that is older than spellings
	Position int
}

// TableName implements gorm's Tabler.
func (StreamTag) TableName() string { return "stream_tags" }

// NormSlug is the form in which slugs are unique. Slugs are ASCII by rule.
func NormSlug(slug string) string { return strings.ToLower(slug) }

// NormTag is the form in which a stream has a tag once and is found by it.
func NormTag(tag string) string { return strings.ToLower(tag) }

// CreateStream inserts s with its tags; ErrDuplicate if the slug is taken in any spelling.
func (q Queries) CreateStream(s Stream) error {
	s.SlugNorm = NormSlug(s.Slug)
	if err := q.g.Create(&s).Error; err != nil {
		return wrap("create stream", err)
	}
	return q.createTags(s)
}

func (q Queries) createTags(s Stream) error {
	if len(s.Tags) == 0 {
		return nil
	}
	tags := make([]StreamTag, len(s.Tags))
	for i, tag := range s.Tags {
		tags[i] = StreamTag{Tag: NormTag(tag), StreamID: s.ID, Spelling: tag, Position: i}
	}
	return wrap("stream tags", q.g.Create(&tags).Error)
}

// FindStream finds by id, also what is deleted.
func (q Queries) FindStream(id string) (Stream, error) {
	var s Stream
	if err := q.g.Take(&s, "id = ?", id).Error; err != nil {
		return Stream{}, wrap("find stream", err)
	}
	return q.withTags(s)
}

// FindStreamBySlug finds by slug in any spelling, also what is deleted.
func (q Queries) FindStreamBySlug(slug string) (Stream, error) {
	var s Stream
	if err := q.g.Take(&s, "slug_norm = ?", NormSlug(slug)).Error; err != nil {
		return Stream{}, wrap("find stream", err)
	}
	return q.withTags(s)
}

// FindStreams finds those of ids that exist, without their tags and in no order.
func (q Queries) FindStreams(ids []string) ([]Stream, error) {
	var found []Stream
	for len(ids) > 0 {
		n := min(len(ids), inList)
		var some []Stream
		if err := q.g.Find(&some, "id IN ?", ids[:n]).Error; err != nil {
			return nil, wrap("find streams", err)
		}
		found, ids = append(found, some...), ids[n:]
	}
	return found, nil
}

func (q Queries) withTags(s Stream) (Stream, error) {
	list := []Stream{s}
	err := q.loadTags(list)
	return list[0], err
}

// StreamFilter narrows a list of streams. Zero values do not narrow.
type StreamFilter struct {
	// Listed leaves only what everyone finds in lists: public and not disabled.
	Listed bool
	// Existing leaves out what is deleted. What is Listed is not.
	Existing bool
	// Disabled leaves only what exists and is disabled.
	Disabled bool
	OwnerID  string
	Category string
	// Tag is normalised.
	Tag string
	// Before is the id after which the list goes on: it holds smaller, that is older, ids.
	Before string
}

// ListStreams lists the newest first.
func (q Queries) ListStreams(f StreamFilter, limit int) ([]Stream, error) {
	var found []Stream
	err := q.filtered(f).Order(f.idColumn() + " DESC").Limit(limit).Find(&found).Error
	if err != nil {
		return nil, wrap("list streams", err)
	}
	return found, q.loadTags(found)
}

// listStreamIDs is ListStreams for who knows the rows.
func (q Queries) listStreamIDs(f StreamFilter, limit int) ([]string, error) {
	var ids []string
	err := q.filtered(f).Select("streams.id").Order(f.idColumn()+" DESC").Limit(limit).Pluck("streams.id", &ids).Error
	return ids, wrap("list streams", err)
}

// FindStreamsBySlug finds those of slugs (in any spelling) that exist and pass the filter, in no order.
func (q Queries) FindStreamsBySlug(f StreamFilter, slugs []string) ([]Stream, error) {
	var found []Stream
	for len(slugs) > 0 {
		n := min(len(slugs), inList)
		norms := make([]string, n)
		for i, slug := range slugs[:n] {
			norms[i] = NormSlug(slug)
		}
		slugs = slugs[n:]
		var some []Stream
		plus := "" // the unary plus keeps SQLite from preferring the wide visibility index to the list of unique slugs
		if q.g.Name() == string(SQLite) {
			plus = "+"
		}
		g := q.g.Where("slug_norm IN ?", norms)
		if f.Listed {
			g = g.Where(plus + "visibility = 'public' AND " + plus + "disabled_at IS NULL")
		}
		if f.Category != "" {
			g = g.Where(plus+"category = ?", f.Category)
		}
		if f.Tag != "" {
			g = g.Where("EXISTS (SELECT 1 FROM stream_tags t WHERE t.tag = ? AND t.stream_id = streams.id)", f.Tag)
		}
		if err := g.Find(&some).Error; err != nil {
			return nil, wrap("find streams", err)
		}
		found = append(found, some...)
	}
	return found, q.loadTags(found)
}

// inList bounds the values of one IN (…): SQLite takes 32 766, a plan stays quick with far fewer.
const inList = 500

// afterEveryID sorts behind every id, which is hexadecimal.
const afterEveryID = "g"

func (f StreamFilter) idColumn() string {
	if f.Tag != "" {
		return "t.stream_id" // the tag's own index has the order
	}
	return "streams.id"
}

// admits says whether a stream passes; Before is no part of it.
func (f StreamFilter) admits(s Stream) bool {
	return (!f.Listed || s.Visibility == "public" && s.DisabledAt == nil) && (!f.Existing || s.DeletedAt == nil) &&
		(!f.Disabled || s.DisabledAt != nil && s.DeletedAt == nil) && (f.OwnerID == "" || s.OwnerID == f.OwnerID) &&
		(f.Category == "" || s.Category == f.Category) && (f.Tag == "" || slices.ContainsFunc(s.Tags, func(tag string) bool { return NormTag(tag) == f.Tag }))
}

func (q Queries) filtered(f StreamFilter) *gorm.DB {
	g := q.g.Model(&Stream{})
	if f.Tag != "" {
		g = g.Select("streams.*").Joins("JOIN stream_tags t ON t.stream_id = streams.id").Where("t.tag = ?", f.Tag)
	}
	if f.Listed {
		g = g.Where("streams.visibility = 'public' AND streams.disabled_at IS NULL")
	}
	if f.OwnerID != "" {
		g = g.Where("streams.owner_id = ?", f.OwnerID)
	}
	if f.Category != "" {
		g = g.Where("streams.category = ?", f.Category)
	}
	if f.Existing {
		g = g.Where("streams.deleted_at IS NULL")
	}
	if f.Disabled {
		g = g.Where("streams.disabled_at IS NOT NULL AND streams.deleted_at IS NULL")
	}
	before := f.Before
	if before == "" {
		before = afterEveryID // so that the first page is the same statement as the others
	}
	return g.Where(f.idColumn()+" < ?", before)
}

// loadTags fills in the tags of a page of streams with one statement.
func (q Queries) loadTags(streams []Stream) error {
	index := make(map[string]*Stream, len(streams))
	ids := make([]string, len(streams))
	for i := range streams {
		ids[i] = streams[i].ID
		index[ids[i]] = &streams[i]
	}
	for len(ids) > 0 {
		n := min(len(ids), inList)
		var tags []StreamTag
		if err := q.g.Where("stream_id IN ?", ids[:n]).Order("stream_id, position, tag").Find(&tags).Error; err != nil {
			return wrap("tags", err)
		}
		for _, t := range tags {
			index[t.StreamID].Tags = append(index[t.StreamID].Tags, cmp.Or(t.Spelling, t.Tag))
		}
		ids = ids[n:]
	}
	return nil
}

// CountStreamsOf counts the streams of an owner that are not deleted.
func (q Queries) CountStreamsOf(owner string) (int64, error) {
	var n int64
	err := q.g.Model(&Stream{}).Where("owner_id = ? AND deleted_at IS NULL", owner).Count(&n).Error
	return n, wrap("count streams", err)
}

// Disabled is since when a stream is not published to, and why; the zero value: it is.
type Disabled struct {
	At      *Millis
	Reason  string
	ByStaff bool
}

// SetStreamDisabled refuses publishing from now on, or allows it again.
func (q Queries) SetStreamDisabled(id string, d Disabled, now Millis) error {
	return one("disable stream", q.updateStream(id, map[string]any{
		"disabled_at": d.At, "disabled_reason": d.Reason, "disabled_by_staff": d.ByStaff,
	}, now))
}
