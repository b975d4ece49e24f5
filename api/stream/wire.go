package stream

import (
	"math"
	"net/url"
	"time"

	"mediad/api/playback"
	"mediad/store/db"
)

// Body is a stream as everyone may see it.
type Body struct {
	ID               string       `json:"id" doc:"UUIDv7" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000011"`
	CreatedAt        string       `json:"created_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	UpdatedAt        string       `json:"updated_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	Slug             string       `json:"slug" doc:"The name in URLs; unique in every spelling" pattern:"^[A-Za-z0-9._-]{1,64}$" example:"main"`
	Title            string       `json:"title" doc:"Plain text, 1 to 120 characters" example:"Friday blitz"`
	Description      string       `json:"description" doc:"Plain text, up to 2000 characters" example:"Three minutes each."`
	Category         string       `json:"category" doc:"Empty: none" example:"games"`
	Tags             []string     `json:"tags" nullable:"false" doc:"As they were written" example:"[\"blitz\",\"chess\"]"`
	Visibility       string       `json:"visibility" doc:"public, unlisted (by link, in no list), followers, private" example:"public"`
	Mature           bool         `json:"mature" example:"false"`
	Language         string       `json:"language" doc:"BCP 47; empty: unknown" example:"en"`
	State            string       `json:"state" doc:"idle, live, reconnecting (the publisher is away, viewers are held), disabled" example:"live"`
	Session          *SessionBody `json:"session,omitempty" doc:"The broadcast that is on; absent when idle"`
	Record           bool         `json:"record" doc:"Broadcasts become replays" example:"true"`
	ReplayVisibility string       `json:"replay_visibility" example:"public"`
	DVRS             int          `json:"dvr_s" doc:"How far back a viewer can seek" minimum:"0" maximum:"86400" example:"7200"`
	Latency          string       `json:"latency" doc:"low, normal" example:"low"`
	ResumeWindowS    int          `json:"resume_window_s" doc:"How long viewers are held when the publisher drops" minimum:"0" maximum:"600" example:"60"`
	MaxViewers       *int         `json:"max_viewers,omitempty" nullable:"false" minimum:"1" doc:"Kept; not enforced yet" example:"500"`
	ThumbnailURL     *string      `json:"thumbnail_url" doc:"Of what is on air, replaced each few seconds; null: there is none" example:"/live/main/thumb.jpg"`
	Viewers          int          `json:"viewers" minimum:"0" doc:"Who watches now" example:"12"`
	ViewersEstimated int          `json:"viewers_estimated" minimum:"0" doc:"Of those: players that do not tell, which are known by what they ask for" example:"2"`
	Owner            OwnerBody    `json:"owner"`
	Me               *MeBody      `json:"me,omitempty" doc:"What it is to the caller; absent where nobody is signed in"`
	Ingest           *IngestBody  `json:"ingest,omitempty" doc:"Where to publish; only for its owner"`
	Publish          *PublishBody `json:"publish,omitempty" doc:"Rules for publishers; only for its owner"`
	DisabledReason   string       `json:"disabled_reason,omitempty" doc:"Why it is disabled, where that was said; only for its owner" example:"On holiday"`
	DisabledBy       string       `json:"disabled_by,omitempty" doc:"owner, or admin: then its owner cannot allow publishing again. Absent: it is not disabled; only for its owner" example:"owner"`
	Keys             []KeyBody    `json:"keys,omitzero" nullable:"false" doc:"Those that are alive; only for its owner"`
	StreamKey        string       `json:"stream_key,omitempty" doc:"Only in the answer to its making" example:"mds_"`
}

// OwnerBody is the short form of a user.
type OwnerBody struct {
	ID          string `json:"id" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000001"`
	Username    string `json:"username" pattern:"^[a-z0-9_]{3,32}$" example:"anna"`
	DisplayName string `json:"display_name" example:"Anna"`
}

// SessionBody is one broadcast.
type SessionBody struct {
	ID            string      `json:"id" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000021"`
	CreatedAt     string      `json:"created_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	UpdatedAt     string      `json:"updated_at" format:"date-time" doc:"Start of the newest epoch" example:"2026-03-01T12:00:00.000Z"`
	State         string      `json:"state" doc:"starting, live, reconnecting, ended" example:"live"`
	StartedAt     string      `json:"started_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	EndedAt       *string     `json:"ended_at" format:"date-time" doc:"null: it lasts"`
	DurationMS    int64       `json:"duration_ms" minimum:"0" doc:"In whole seconds while it lasts" example:"61000"`
	EndReason     *string     `json:"end_reason" doc:"null: it lasts"`
	Epochs        []EpochBody `json:"epochs" nullable:"false" doc:"Stretches of unchanged codecs and continuous time; the first and the newest ones where there are many"`
	PeakViewers   int         `json:"peak_viewers" minimum:"0" doc:"The most at a time" example:"40"`
	UniqueViewers int         `json:"unique_viewers" minimum:"0" doc:"Different ones, of those whose players tell; no fewer than at a time" example:"120"`
	WatchS        int64       `json:"watch_s" minimum:"0" doc:"What all of them have watched together, of those whose players tell" example:"86400"`
	// ReplayVideoID is set where there is a replay that the caller may watch: the first, where a session lasted so long that it has several.
	ReplayVideoID string `json:"replay_video_id,omitempty" format:"uuid" doc:"The video in which it can be watched again; absent: there is none" example:"0198f2a0-0000-7000-8000-000000000031"`
}

// EpochBody is a stretch of a session.
type EpochBody struct {
	StartedAt string     `json:"started_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	Protocol  string     `json:"protocol" example:"rtmp"`
	Encoder   string     `json:"encoder" doc:"What the publisher calls itself" example:"obs-output module (libobs version 29.0.2)"`
	Reason    string     `json:"reason" doc:"Why it began: first (of the session), reconnected (the publisher returned), replaced (another one took over), time_jump, config_changed (codec, size …), track_added" example:"first"`
	Video     *VideoBody `json:"video,omitempty" doc:"Absent: no picture"`
	Audio     *AudioBody `json:"audio,omitempty" doc:"Absent: no sound"`
}

// VideoBody describes a video track.
type VideoBody struct {
	Codec  string  `json:"codec" doc:"RFC 6381" example:"avc1.64001f"`
	Width  int     `json:"width" minimum:"0" example:"1280"`
	Height int     `json:"height" minimum:"0" example:"720"`
	FPS    float64 `json:"fps" minimum:"0" doc:"0: unknown or not constant" example:"29.97"`
}

// AudioBody describes an audio track.
type AudioBody struct {
	Codec      string `json:"codec" doc:"RFC 6381" example:"mp4a.40.2"`
	SampleRate int    `json:"sample_rate" minimum:"0" example:"48000"`
	Channels   int    `json:"channels" minimum:"0" example:"2"`
}

// PlaybackBody is what a player needs. It is there before the stream starts: the URLs never change.
type PlaybackBody struct {
	State           string        `json:"state" doc:"idle, live, reconnecting, disabled" example:"live"`
	HLSURL          string        `json:"hls_url" doc:"Multivariant playlist; answers 404 until the stream is live" example:"/live/main/index.m3u8"`
	DVRURL          string        `json:"dvr_url,omitempty" doc:"The same over the whole DVR range; absent where there is none" example:"/live/main/dvr.m3u8"`
	WHEPURL         *string       `json:"whep_url" doc:"WebRTC, for players that speak WHEP; null: not offered" example:"/whep/main"`
	LowLatency      bool          `json:"low_latency" example:"true"`
	DVRS            int           `json:"dvr_s" minimum:"0" maximum:"86400" example:"7200"`
	TargetLatencyMS int64         `json:"target_latency_ms" minimum:"0" doc:"How far behind a player should aim to be" example:"1000"`
	Qualities       []QualityBody `json:"qualities" nullable:"false" doc:"Best first; empty until live"`
	PlaybackToken   string        `json:"playback_token,omitempty" doc:"What stands in the path of hls_url: for WHEP (Bearer), RTSP (?token=) and SRT; absent where everybody may watch" example:"EQAAAAAHg5Rzq1vM0Zt4yQbEo2nXh8Ks"`
	TokenExpiresAt  string        `json:"token_expires_at,omitempty" format:"date-time" doc:"Until when the URLs let somebody begin; absent where everybody may watch" example:"2026-03-02T01:00:00.000Z"`
	ChatRoom        string        `json:"chat_room" example:"stream:0198f2a0-0000-7000-8000-000000000011"`
	StartedAt       string        `json:"started_at,omitempty" format:"date-time" doc:"Absent when idle" example:"2026-03-01T12:00:00.000Z"`
}

// QualityBody is a rendition.
type QualityBody struct {
	Name       string  `json:"name" example:"source"`
	Width      int     `json:"width" minimum:"0" example:"1280"`
	Height     int     `json:"height" minimum:"0" example:"720"`
	FPS        float64 `json:"fps" minimum:"0" doc:"0: unknown or not constant" example:"29.97"`
	Codecs     string  `json:"codecs" doc:"RFC 6381" example:"avc1.64001f,mp4a.40.2"`
	BitrateBPS int64   `json:"bitrate_bps" minimum:"0" doc:"0: not known yet" example:"2660000"`
}

// stamp writes a moment as the whole API does.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func (h *handlers) body(row db.Stream, owner db.User) Body {
	info, session := h.live.LiveState(row.Slug)
	b := Body{
		ID: row.ID, CreatedAt: stamp(row.CreatedAt.Time()), UpdatedAt: stamp(row.UpdatedAt.Time()),
		Slug: row.Slug, Title: row.Title, Description: row.Description, Category: row.Category, Tags: row.Tags,
		Visibility: row.Visibility, Mature: row.Mature, Language: row.Language, State: state(row, info, session),
		Record: row.Record, ReplayVisibility: row.ReplayVisibility, DVRS: row.DVRS, Latency: row.Latency,
		ResumeWindowS: row.ResumeWindowS, MaxViewers: row.MaxViewers,
		Owner: OwnerBody{ID: owner.ID, Username: owner.Username, DisplayName: owner.DisplayName},
	}
	if b.Tags == nil {
		b.Tags = []string{}
	}
	if session {
		b.Session = sessionBody(info, h.now())
		if info.Thumbnail {
			picture := h.publicURL + h.rights.Stream(row).Prefix() + "/live/" + url.PathEscape(row.Slug) + "/thumb.jpg"
			b.ThumbnailURL = &picture
		}
		b.Viewers = max(0, h.live.Viewers(row.Slug))
		b.ViewersEstimated = min(b.Viewers, info.Audience.Estimated)
	}
	return b
}

func state(row db.Stream, info LiveInfo, session bool) string {
	switch {
	case row.DisabledAt != nil:
		return "disabled"
	case session && info.onAir():
		return string(info.State)
	}
	return "idle"
}

// maxEpochs bounds the body: an encoder that drops each second for days makes thousands.
const maxEpochs = 50

func sessionBody(info LiveInfo, now time.Time) *SessionBody {
	b := &SessionBody{
		ID: info.SessionID, CreatedAt: stamp(info.StartedAt), UpdatedAt: stamp(info.StartedAt), State: string(info.State),
		DurationMS: max(0, now.Sub(info.StartedAt).Truncate(time.Second).Milliseconds()), StartedAt: stamp(info.StartedAt),
		Epochs: make([]EpochBody, 0, min(len(info.Epochs), maxEpochs)),
	}
	for i, e := range info.Epochs {
		if i == 0 || len(info.Epochs)-i < maxEpochs {
			b.Epochs = append(b.Epochs, epochBody(e))
		}
		b.UpdatedAt = stamp(e.StartedAt)
	}
	a := info.Audience
	b.PeakViewers, b.UniqueViewers, b.WatchS = a.Peak, max(a.Unique, a.Peak), int64(a.Watched/time.Second)
	return b
}

func epochBody(e Epoch) EpochBody {
	b := EpochBody{StartedAt: stamp(e.StartedAt), Protocol: e.Protocol, Encoder: e.Encoder, Reason: e.Reason}
	if v := e.Video; v != nil {
		b.Video = &VideoBody{Codec: v.Codec, Width: v.Width, Height: v.Height, FPS: number(v.FPS)}
	}
	if a := e.Audio; a != nil {
		b.Audio = &AudioBody{Codec: a.Codec, SampleRate: a.SampleRate, Channels: a.Channels}
	}
	return b
}

func (h *handlers) playback(row db.Stream, grant playback.Grant) PlaybackBody {
	info, session := h.live.LiveState(row.Slug)
	slug := url.PathEscape(row.Slug)
	folder := h.publicURL + grant.Prefix() + "/live/" + slug + "/"
	b := PlaybackBody{
		State: state(row, info, session), HLSURL: folder + "index.m3u8", LowLatency: row.Latency == "low", DVRS: row.DVRS,
		TargetLatencyMS: h.lowLatency.Milliseconds(), Qualities: []QualityBody{}, ChatRoom: "stream:" + row.ID,
		PlaybackToken: grant.Token, TokenExpiresAt: grant.Stamp(),
	}
	if !b.LowLatency {
		b.TargetLatencyMS = h.normalLatency.Milliseconds()
	}
	if h.whep {
		whep := h.publicURL + "/whep/" + slug + grant.Query()
		b.WHEPURL = &whep
	}
	if row.DVRS > 0 {
		b.DVRURL = folder + "dvr.m3u8"
	}
	if session && b.State != "disabled" && b.State != "idle" {
		b.StartedAt = stamp(info.StartedAt)
		for _, q := range info.Qualities {
			b.Qualities = append(b.Qualities, QualityBody{
				Name: q.Name, Width: q.Width, Height: q.Height, FPS: number(q.FPS), Codecs: q.Codecs, BitrateBPS: q.BitrateBPS,
			})
		}
	}
	return b
}

// number rounds to three decimals and keeps what JSON cannot say out of it.
func number(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return math.Round(f*1000) / 1000
}
