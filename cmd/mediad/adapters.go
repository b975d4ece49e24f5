package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"mediad/api/play"
	"mediad/api/stream"
	"mediad/ingest/hook"
	"mediad/live"
	"mediad/media"
	"mediad/packager"
	"mediad/packager/origin"
	"mediad/packager/playlist"
	"mediad/store/db"
	"mediad/transcode/thumb"
)

// This file is the joint of media path and platform: the one that knows both worlds.

// publishRights lets the platform's rules decide who may publish.
type publishRights struct {
	streams *stream.Service
	record  bool // false: nothing is recorded, whatever a stream wants
	refused func(stream.Disconnect)
	now     func() time.Time
}

func (p publishRights) AuthorizePublish(ctx context.Context, key string, peer live.Peer) (live.Grant, error) {
	g, err := p.streams.AuthorizePublish(ctx, key, peer.Remote)
	if err == nil {
		err = allowed(ctx, p.streams, g, peer)
	}
	if err != nil {
		err = refusal(err)
		var why *stream.Refusal
		if errors.As(err, &why) && why.StreamID != "" { // only its owner is told
			p.refused(stream.Disconnect{
				StreamID: why.StreamID, At: p.now(), Protocol: peer.Protocol, Remote: peer.Remote, Code: string(live.ReasonOf(err)), Detail: why.Detail(),
				Refused: true,
			})
		}
		return live.Grant{}, err
	}
	granted := grant(g)
	granted.Record = granted.Record && p.record
	return granted, nil
}

// allowed says whether the stream's rules let a publisher in whose key is good. What cannot be asked now keeps nobody out: whoever breaks a
// rule on air is cut.
func allowed(ctx context.Context, streams *stream.Service, g stream.Grant, peer live.Peer) error {
	err := streams.Allow(ctx, g, peer.Protocol)
	var refused *stream.Refusal
	if err != nil && ctx.Err() == nil && !errors.As(err, &refused) {
		return nil
	}
	return err
}

func grant(g stream.Grant) live.Grant {
	return live.Grant{
		StreamID: g.StreamID, Stream: g.Stream, KeyID: g.KeyID, ResumeWindow: g.ResumeWindow, DVR: g.DVR, Record: g.Record,
		MaxBitrate: g.Rules.MaxBitrateBPS,
	}
}

// hooks are the programs of others that are asked; nil where there is none.
type hooks struct{ publish, play *hook.Hook }

func (n *node) newHooks() (h hooks, err error) {
	c := n.config
	if c.Hooks.OnPublish == "" && c.Hooks.OnPlay == "" {
		return h, nil
	}
	key := []byte(c.Hooks.Secret)
	if len(key) == 0 {
		made, err := secret(filepath.Join(c.DataDir, "secrets"), "hooks.key")
		if err != nil {
			return h, fmt.Errorf("data_dir: %w", err)
		}
		key = []byte(hex.EncodeToString(made))
	}
	for _, one := range []struct {
		key, url string
		to       **hook.Hook
	}{{"hooks.on_publish", c.Hooks.OnPublish, &h.publish}, {"hooks.on_play", c.Hooks.OnPlay, &h.play}} {
		if one.url == "" {
			continue
		}
		if *one.to, err = hook.New(hook.Options{URL: one.url, Secret: key, Format: hook.Format(c.Hooks.Format), Now: n.now}); err != nil {
			return h, fmt.Errorf("%s: %w", one.key, err)
		}
		if (*one.to).Readable() {
			n.log.Warn("the hook is asked without encryption: who is on the way reads players' tokens and can answer in its place; "+
				"use https, unless the network is your own", "setting", one.key)
		}
	}
	return h, nil
}

// rights are who may publish: whom the platform lets in, and the hook if there is one.
func (h hooks) rights(next live.Authorizer) live.Authorizer {
	if h.publish == nil {
		return next
	}
	return h.publish.Publish(next)
}

func refusal(err error) error {
	var refused *stream.Refusal
	if !errors.As(err, &refused) {
		return err
	}
	switch {
	case refused.Disabled():
		return live.Refuse(live.ReasonStreamDisabled, err)
	case refused.Broken():
		return live.Refuse(live.ReasonPolicyLimit, err)
	}
	return live.Refuse(live.ReasonStreamKeyInvalid, err)
}

// originSource shows the packager's streams to the origin.
type originSource struct{ streams *packager.Streams }

func (s originSource) Stream(name string) (origin.Stream, bool) {
	one, ok := s.streams.Stream(name)
	if !ok {
		return nil, false
	}
	return originStream{one}, true
}

type originStream struct{ *packager.Stream }

func (s originStream) Rendition(name string) (origin.Rendition, bool) {
	r, ok := s.Stream.Rendition(name)
	if !ok {
		return nil, false
	}
	return r, true
}

// originThumbs shows thumbnails to the origin.
type originThumbs struct{ pictures *thumb.Pictures }

func (o originThumbs) Thumb(stream string) (jpeg []byte, etag string, ok bool) {
	p, ok := o.pictures.Newest(stream)
	return p.JPEG, p.ETag, ok
}

// elsewhereOf tells the packager of the newest segment that any node has stored of a stream.
func elsewhereOf(d *db.DB, log *slog.Logger) func(streamID string) (packager.Last, bool) {
	if d.Engine() == db.SQLite {
		return nil // nobody else has the database
	}
	return func(streamID string) (packager.Last, bool) {
		ctx, cancel := context.WithTimeout(context.Background(), lastTimeout)
		defer cancel()
		last, err := d.Read(ctx).NewestSegment(streamID)
		if err != nil {
			if !errors.Is(err, db.ErrNotFound) {
				log.Warn("whether another node had the stream last is not known", "stream_id", streamID, "error", err)
			}
			return packager.Last{}, false
		}
		return packager.Last{MSN: uint64(last.MSN), Start: last.Start, Discontinuities: uint64(last.Discontinuities)}, true
	}
}

// lastTimeout bounds the look for that: the first segment waits for it.
const lastTimeout = time.Second

// segmentRows stores the packager's segments in the segment table.
type segmentRows struct {
	db     *db.DB
	bucket bool // they are to be stored in the bucket too
	log    *slog.Logger
}

// rowsTimeout bounds one batch; while the database is away the packager keeps the rows.
const rowsTimeout = 5 * time.Second

func (s segmentRows) AddSegments(rows []packager.SegmentRow) error {
	ctx, cancel := context.WithTimeout(context.Background(), rowsTimeout)
	defer cancel()
	out := make([]db.Segment, len(rows))
	where := db.BucketNone
	if s.bucket {
		where = db.BucketPending
	}
	for i, r := range rows {
		out[i] = db.Segment{
			SessionID: r.SessionID, Rendition: r.Rendition, MSN: int64(r.MSN), StreamID: r.StreamID, Epoch: r.Epoch,
			StartNS: r.Start.UnixNano(), DurationNS: int64(r.Duration), BlobKey: r.Key, BlobOffset: r.Offset, Bytes: r.Bytes,
			Discontinuity: r.Discontinuity, Gap: r.Gap, Independent: r.Independent,
			Target: r.Target, Discontinuities: int64(r.Discontinuities), Bucket: where,
		}
	}
	err := s.insert(ctx, out)
	if !errors.Is(err, db.ErrReference) {
		return err
	}
	// Some are of a stream that is not there, as another database was put in this one's place: all others would wait for them for ever.
	if out, err = s.known(ctx, out); err != nil {
		return err
	}
	s.log.Error("segment rows are given up: their stream is not there", "rows", len(rows)-len(out))
	return s.insert(ctx, out)
}

func (s segmentRows) insert(ctx context.Context, rows []db.Segment) error {
	return s.db.Tx(ctx, func(q db.Queries) error { return q.InsertSegments(rows) })
}

// known are the rows whose stream is there.
func (s segmentRows) known(ctx context.Context, rows []db.Segment) ([]db.Segment, error) {
	streams := make(map[string]bool)
	for i := range rows {
		streams[rows[i].StreamID] = false
	}
	found, err := s.db.Read(ctx).FindStreams(slices.Collect(maps.Keys(streams)))
	for i := range found {
		streams[found[i].ID] = true
	}
	return slices.DeleteFunc(rows, func(r db.Segment) bool { return !streams[r.StreamID] }), err
}

func (s segmentRows) AddTracks(rows []packager.TrackRow) error {
	ctx, cancel := context.WithTimeout(context.Background(), rowsTimeout)
	defer cancel()
	out := make([]db.SessionTrack, len(rows))
	for i, r := range rows {
		out[i] = db.SessionTrack{
			SessionID: r.SessionID, Rendition: r.Rendition, Epoch: r.Epoch, Kind: r.Kind.String(), Codec: r.Codec, Config: r.Config, Init: r.Init,
		}
	}
	return s.db.Tx(ctx, func(q db.Queries) error { return q.InsertTracks(out) })
}

// keyWatch cuts publishers whose key died or whose stream was disabled, within a second, whoever did it: the command line is another
// process, so the rows are asked.
type keyWatch struct {
	hub     *live.Hub
	streams *stream.Service
	wake    chan struct{} // something was revoked; one is enough
	log     *slog.Logger
}

const keyWatchInterval = 800 * time.Millisecond

func (k keyWatch) Run(ctx context.Context) error {
	tick := time.NewTicker(keyWatchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.wake:
		case <-tick.C:
		}
		statuses := k.hub.Live()
		on := make([]stream.OnAir, len(statuses))
		for i, s := range statuses {
			on[i] = airing(s)
		}
		for _, d := range k.check(ctx, on) {
			k.end(d)
		}
	}
}

// airing is a publisher as the platform's rules see it.
func airing(s live.Status) stream.OnAir {
	since := s.StartedAt
	if since.IsZero() {
		since = s.ConnectedAt
	}
	return stream.OnAir{
		Grant:    stream.Grant{Stream: s.Stream, StreamID: s.StreamID, KeyID: s.KeyID},
		Protocol: s.Protocol, BitrateBPS: s.Video.Bitrate.Last10s + s.Audio.Bitrate.Last10s, Since: since,
	}
}

// restored looks once at sessions that a former process left. A key that died meanwhile ends nothing, as nobody publishes with it,
// but a stream that nobody may publish to any more is over.
func (k keyWatch) restored(ctx context.Context, sessions []live.Restored) {
	on := make([]stream.OnAir, len(sessions))
	for i, r := range sessions {
		on[i].Grant = stream.Grant{Stream: r.Grant.Stream, StreamID: r.Grant.StreamID, KeyID: r.Grant.KeyID}
	}
	for _, d := range k.check(ctx, on) {
		if d.Refusal.Disabled() {
			k.end(d)
		}
	}
}

func (k keyWatch) check(ctx context.Context, on []stream.OnAir) []stream.Dead {
	ctx, cancel := context.WithTimeout(ctx, rowsTimeout)
	defer cancel()
	dead, err := k.streams.CheckOnAir(ctx, on)
	if err != nil {
		k.log.Debug("keys on air not checked", "error", err)
	}
	return dead
}

func (k keyWatch) end(d stream.Dead) {
	reason := live.ReasonKeyRevoked
	switch {
	case d.Refusal.Disabled():
		reason = live.ReasonStreamDisabled
	case d.Refusal.Broken():
		reason = live.ReasonPolicyLimit
	}
	err := k.hub.Cut(d.Grant.Stream, reason, d.Refusal.Detail())
	if err != nil && live.ReasonOf(err) != live.ReasonNotLive { // it ended by itself meanwhile
		k.log.Warn("publisher not cut", "stream", d.Grant.Stream, "error", err)
	}
}

// onAir shows the hub's streams to the API.
type onAir struct {
	hub      *live.Hub
	sessions *sessionRows
	audience *play.Audience
	pictures *thumb.Pictures
	variants func(stream string) []playlist.Variant
	health   func(stream string) (stream.Health, bool)
	recheck  chan<- struct{}
	others   *elsewhere
	owners   *owners // nil: there are no other nodes
	log      *slog.Logger
}

// Health implements stream.Live.
func (o onAir) Health(slug string) (stream.Health, bool) { return o.health(slug) }

// End implements stream.Live.
func (o onAir) End(slug, reason string) bool {
	if s, ok := o.hub.Lookup(slug); ok && s.SessionID != "" {
		return o.hub.End(slug, live.Reason(reason)) == nil
	}
	s, ok := o.others.session(slug)
	if !ok || o.owners == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), rowsTimeout)
	defer cancel()
	asked, err := o.owners.askEnd(ctx, s.row.StreamID, live.Reason(reason))
	if err != nil {
		o.log.Warn("the node that has the stream could not be asked to end it", "stream", slug, "error", err)
	}
	return asked
}

// Recheck implements stream.Live.
func (o onAir) Recheck() {
	select {
	case o.recheck <- struct{}{}:
	default: // one look that has not begun yet sees this too
	}
}

// variants are what HLS has of a stream.
func (n *node) variants(stream string) []playlist.Variant {
	st, ok := n.streams.Stream(stream)
	if !ok {
		return nil
	}
	return st.Variants()
}

func (o onAir) Viewers(slug string) int { return o.audience.Counts(slug).Total() }

func (o onAir) LiveState(slug string) (stream.LiveInfo, bool) {
	s, ok := o.hub.Lookup(slug)
	if ok && s.SessionID != "" { // else idle, or a publisher that has sent nothing yet
		return o.info(s), true
	}
	if other, ok := o.others.session(slug); ok {
		return o.otherInfo(other), true
	}
	return stream.LiveInfo{}, false
}

// otherInfo is what is known of a session at another node.
func (o onAir) otherInfo(s remoteSession) stream.LiveInfo {
	info := s.info()
	info.Audience = o.watched(s.slug, s.row.ID)
	return info
}

func (o onAir) watched(slug, session string) stream.Audience {
	w := o.audience.Watched(session)
	return stream.Audience{
		Estimated: o.audience.Counts(slug).Estimated, Peak: w.Peak, Unique: w.Viewers, Watched: time.Duration(w.MS) * time.Millisecond,
	}
}

func (o onAir) LiveNow() []stream.LiveInfo {
	statuses := o.hub.Live()
	here := make(map[string]bool, len(statuses))
	out := make([]stream.LiveInfo, 0, len(statuses))
	for _, s := range statuses {
		if s.SessionID != "" {
			out = append(out, o.info(s))
			here[s.Stream] = true
		}
	}
	for slug, other := range o.others.all() {
		if !here[slug] {
			out = append(out, o.otherInfo(other))
		}
	}
	return out
}

func (o onAir) info(s live.Status) stream.LiveInfo {
	info := stream.LiveInfo{Stream: s.Stream, SessionID: s.SessionID, StartedAt: s.StartedAt, Thumbnail: o.pictures.There(s.Stream)}
	info.Audience = o.watched(s.Stream, s.SessionID)
	if info.Qualities = published(o.variants(s.Stream)); len(info.Qualities) == 0 {
		info.Qualities = qualities(s)
	}
	switch s.State {
	case live.StateLive:
		info.State = stream.SessionLive
	case live.StateReconnecting:
		info.State = stream.SessionReconnecting
	default:
		info.State = stream.SessionStarting
	}
	info.Epochs = epochsOf(o.sessions.epochs(s.SessionID))
	return info
}

// published are the renditions that viewers have; those with a picture with the sound that belongs to it.
func published(variants []playlist.Variant) []stream.Quality {
	var sound *playlist.Variant
	for i := range variants {
		if variants[i].Track.Kind == media.Audio {
			sound = &variants[i]
		}
	}
	out := make([]stream.Quality, 0, len(variants))
	for i := range variants {
		v := &variants[i]
		q := stream.Quality{
			Name: v.Name, Width: v.Track.Width, Height: v.Track.Height, FPS: max(v.FrameRate, 0),
			Codecs: v.Track.RFC6381(), BitrateBPS: int64(v.Average),
		}
		if sound != nil && v != sound {
			q.Codecs += "," + sound.Track.RFC6381()
			q.BitrateBPS += int64(sound.Average)
		}
		out = append(out, q)
	}
	return out
}

// qualities are what a source brings: what there is while its stream is starting.
func qualities(s live.Status) []stream.Quality {
	video, audio := s.Tracks[media.Video], s.Tracks[media.Audio]
	if audio != nil && audio.Codec != media.AAC {
		audio = nil
	}
	var out []stream.Quality
	if video != nil {
		q := stream.Quality{Name: "source", Width: video.Width, Height: video.Height, FPS: s.Video.FPS, Codecs: video.RFC6381(), BitrateBPS: s.Video.Bitrate.Last10s}
		if audio != nil {
			q.Codecs += "," + audio.RFC6381()
			q.BitrateBPS += s.Audio.Bitrate.Last10s
		}
		out = append(out, q)
	}
	if audio != nil {
		out = append(out, stream.Quality{Name: "audio", Codecs: audio.RFC6381(), BitrateBPS: s.Audio.Bitrate.Last10s})
	}
	return out
}
