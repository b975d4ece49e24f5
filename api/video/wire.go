package video

import (
	"math"
	"time"

	"mediad/store/db"
)

// Body is a video as everyone may see it.
type Body struct {
	ID            string          `json:"id" doc:"UUIDv7" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000031"`
	CreatedAt     string          `json:"created_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	UpdatedAt     string          `json:"updated_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	Title         string          `json:"title" doc:"Plain text, 1 to 120 characters" example:"Friday blitz"`
	Description   string          `json:"description" doc:"Plain text, up to 5000 characters" example:"Three minutes each."`
	Category      string          `json:"category" doc:"Empty: none" example:"games"`
	Language      string          `json:"language" doc:"BCP 47; empty: unknown" example:"en"`
	Visibility    string          `json:"visibility" doc:"public, unlisted (by link, in no list), followers, private" example:"public"`
	Mature        bool            `json:"mature" example:"false"`
	State         string          `json:"state" doc:"draft, uploading, queued, processing, ready, failed" example:"ready"`
	Playable      bool            `json:"playable" example:"true"`
	DurationMS    int64           `json:"duration_ms" minimum:"0" example:"5400000"`
	Width         int             `json:"width" minimum:"0" doc:"0: sound alone" example:"1280"`
	Height        int             `json:"height" minimum:"0" example:"720"`
	ThumbnailURL  *string         `json:"thumbnail_url" doc:"JPEG; null: there is none, or not yet" example:"/vod/0198f2a0-0000-7000-8000-000000000031/thumb.jpg"`
	StoryboardURL *string         `json:"storyboard_url" doc:"WebVTT with pictures of the whole video; null: there is none, or not yet" example:"/vod/0198f2a0-0000-7000-8000-000000000031/storyboard.vtt"`
	Source        SourceBody      `json:"source"`
	Renditions    []RenditionBody `json:"renditions,omitempty" nullable:"false" doc:"Absent in lists"`
	Chapters      []ChapterBody   `json:"chapters,omitempty" nullable:"false" doc:"Moments that were marked on air; absent in lists, and where there are none"`
	Owner         OwnerBody       `json:"owner"`
	Stats         StatsBody       `json:"stats"`
	PublishedAt   *string         `json:"published_at" format:"date-time" doc:"null: not yet"`
	Me            *MeBody         `json:"me,omitempty" doc:"What it is to the caller; absent where nobody is signed in"`
}

// StatsBody is what is counted of a video.
type StatsBody struct {
	Views int64 `json:"views" minimum:"0" doc:"Watched for 30 s, or half of it; a viewer counts once in 6 hours, its owner never" example:"120"`
}

// MeBody is what a video is to the caller.
type MeBody struct {
	PositionMS int64 `json:"position_ms" minimum:"0" doc:"Where the caller left it; 0: not watched, or not remembered" example:"61000"`
	WatchLater bool  `json:"watch_later" example:"false"`
}

// SourceBody says what a video is made of.
type SourceBody struct {
	Kind      string `json:"kind" doc:"upload, replay, clip, import" example:"replay"`
	StreamID  string `json:"stream_id,omitempty" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000011"`
	SessionID string `json:"session_id,omitempty" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000021"`
	FromMS    *int64 `json:"from_ms,omitempty" doc:"Of a clip: where it begins, in milliseconds since the broadcast began" example:"61000"`
	ToMS      *int64 `json:"to_ms,omitempty" doc:"Of a clip: where it ends" example:"91000"`
}

// RenditionBody is a rendition of a video.
type RenditionBody struct {
	Name       string  `json:"name" example:"source"`
	Width      int     `json:"width" minimum:"0" example:"1280"`
	Height     int     `json:"height" minimum:"0" example:"720"`
	FPS        float64 `json:"fps" minimum:"0" doc:"0: unknown or not constant" example:"29.97"`
	Codecs     string  `json:"codecs" doc:"RFC 6381" example:"avc1.64001f"`
	BitrateBPS int64   `json:"bitrate_bps" minimum:"0" doc:"Mean" example:"2500000"`
	State      string  `json:"state" doc:"queued, processing, ready, failed, skipped" example:"ready"`
}

// ChapterBody is a stretch of a video that has a name. It goes up to the next one.
type ChapterBody struct {
	StartMS int64  `json:"start_ms" minimum:"0" doc:"Rising; of the first 0" example:"61000"`
	Title   string `json:"title" example:"Round two"`
}

// OwnerBody is the short form of a user.
type OwnerBody struct {
	ID          string `json:"id" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000001"`
	Username    string `json:"username" pattern:"^[a-z0-9_]{3,32}$" example:"anna"`
	DisplayName string `json:"display_name" example:"Anna"`
}

// PlaybackBody is what a player needs.
type PlaybackBody struct {
	HLSURL         string        `json:"hls_url" doc:"Multivariant playlist" example:"/vod/0198f2a0-0000-7000-8000-000000000031/index.m3u8"`
	ThumbnailURL   *string       `json:"thumbnail_url" doc:"JPEG; null: there is none, or not yet" example:"/vod/0198f2a0-0000-7000-8000-000000000031/thumb.jpg"`
	StoryboardURL  *string       `json:"storyboard_url" doc:"WebVTT with pictures of the whole video; null: there is none, or not yet" example:"/vod/0198f2a0-0000-7000-8000-000000000031/storyboard.vtt"`
	DownloadURL    string        `json:"download_url,omitempty" doc:"One MP4 file; absent where the video cannot be one, since its picture or sound changes its kind" example:"/vod/0198f2a0-0000-7000-8000-000000000031/download.mp4"`
	Qualities      []QualityBody `json:"qualities" nullable:"false" doc:"Best first"`
	TokenExpiresAt string        `json:"token_expires_at,omitempty" format:"date-time" doc:"Until when the URLs are good; absent where everybody may watch" example:"2026-03-01T19:00:00.000Z"`
	ResumeMS       int64         `json:"resume_ms" minimum:"0" doc:"Where the viewer left" example:"0"`
}

// QualityBody is what a viewer can choose.
type QualityBody struct {
	Name       string  `json:"name" example:"source"`
	Width      int     `json:"width" minimum:"0" example:"1280"`
	Height     int     `json:"height" minimum:"0" example:"720"`
	FPS        float64 `json:"fps" minimum:"0" doc:"0: unknown or not constant" example:"29.97"`
	Codecs     string  `json:"codecs" doc:"RFC 6381" example:"avc1.64001f"`
	BitrateBPS int64   `json:"bitrate_bps" minimum:"0" example:"2660000"`
}

// stamp writes a moment as the whole API does.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// body is v as everyone may see it; starts has when the sessions of clips began.
func (h *handlers) body(v db.Video, owner db.User, starts map[string]db.Millis, renditions []Rendition) Body {
	b := Body{
		ID: v.ID, CreatedAt: stamp(v.CreatedAt.Time()), UpdatedAt: stamp(v.UpdatedAt.Time()),
		Title: v.Title, Description: v.Description, Category: v.Category, Language: v.Language,
		Visibility: v.Visibility, Mature: v.Mature, State: v.State, Playable: v.State == db.VideoReady,
		DurationMS: v.DurationMS, Width: v.Width, Height: v.Height,
		Source: source(v, starts),
		Owner:  OwnerBody{ID: owner.ID, Username: owner.Username, DisplayName: owner.DisplayName},
		Stats:  StatsBody{Views: v.Views},
	}
	b.ThumbnailURL, b.StoryboardURL = h.pictures(h.rights.Video(v), v)
	if v.PublishedAt != nil {
		at := stamp(v.PublishedAt.Time())
		b.PublishedAt = &at
	}
	for _, r := range renditions {
		b.Renditions = append(b.Renditions, RenditionBody{
			Name: r.Name, Width: r.Width, Height: r.Height, FPS: number(r.FPS), Codecs: r.Codecs, BitrateBPS: r.Bitrate, State: db.VideoReady,
		})
	}
	return b
}

func source(v db.Video, starts map[string]db.Millis) SourceBody {
	s := SourceBody{Kind: v.Kind, StreamID: orEmpty(v.StreamID), SessionID: orEmpty(v.SessionID)}
	began, ok := starts[s.SessionID]
	if v.Kind != db.KindClip || v.FromNS == nil || v.ToNS == nil || !ok {
		return s
	}
	from, to := time.Unix(0, *v.FromNS).Sub(began.Time()).Round(time.Millisecond), time.Unix(0, *v.ToNS).Sub(began.Time()).Round(time.Millisecond)
	fromMS, toMS := from.Milliseconds(), to.Milliseconds()
	s.FromMS, s.ToMS = &fromMS, &toMS
	return s
}

// startsOf finds when the sessions began that clips among the videos are of.
func startsOf(q db.Queries, videos ...db.Video) (map[string]db.Millis, error) {
	var ids []string
	for i := range videos {
		if v := &videos[i]; v.Kind == db.KindClip && v.SessionID != nil {
			ids = append(ids, *v.SessionID)
		}
	}
	return q.SessionStarts(ids)
}

func qualities(renditions []Rendition) []QualityBody {
	out := make([]QualityBody, 0, len(renditions))
	for _, r := range renditions {
		out = append(out, QualityBody{
			Name: r.Name, Width: r.Width, Height: r.Height, FPS: number(r.FPS), Codecs: r.Codecs, BitrateBPS: r.Bitrate,
		})
	}
	return out
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// number rounds to three decimals.
func number(f float64) float64 { return math.Round(f*1000) / 1000 }
