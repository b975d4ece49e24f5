package video

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/caller"
	"mediad/api/page"
	"mediad/api/patch"
	"mediad/api/playback"
	"mediad/api/problem"
	"mediad/api/stream"
	"mediad/store/db"
)

// Media knows what is stored of videos; cmd joins it to the media side.
type Media interface {
	// Renditions are those of a video, the largest first, whoever may watch it. ErrNotFound: there is nothing of it to be played.
	Renditions(ctx context.Context, id string) ([]Rendition, error)
	// OneFile tells whether a video can be had as one file.
	OneFile(ctx context.Context, id string) (bool, error)
	// Places tells where in a video moments of its broadcast are; -1: they are not in it.
	Places(ctx context.Context, id string, moments []time.Time) ([]time.Duration, error)
}

// Rendition is one that can be played.
type Rendition struct {
	Name          string
	Width, Height int     // 0: sound
	FPS           float64 // 0: unknown or not constant
	Codecs        string  // RFC 6381
	Bitrate       int64   // bits a second, the mean
}

// HTTP is what the routes need beside the service.
type HTTP struct {
	Service *Service
	Media   Media
	Cursors page.Codec
	// User finds whom a path names, for the caller.
	User func(ctx context.Context, user string) (db.User, error)
	// Rights makes the tokens of what is not public.
	Rights *playback.Issuer
	// Resume is where the caller left a video, in milliseconds; nil: nobody knows.
	Resume func(ctx context.Context, v db.Video) (int64, error)
	// PublicURL goes in front of the paths of media, without a slash at its end. "": the paths stand alone.
	PublicURL string
	// Streams finds the streams that clips are of; Clipping cuts them.
	Streams  *stream.Service
	Clipping *Clipping
	Log      *slog.Logger
}

type handlers struct {
	user      func(ctx context.Context, user string) (db.User, error)
	service   *Service
	media     Media
	cursors   page.Codec
	rights    *playback.Issuer
	resume    func(ctx context.Context, v db.Video) (int64, error)
	publicURL string
	streams   *stream.Service
	clipping  *Clipping
}

func newHandlers(o HTTP) *handlers {
	h := &handlers{
		user: o.User, service: o.Service, media: o.Media, cursors: o.Cursors, rights: o.Rights, resume: o.Resume, publicURL: strings.TrimSuffix(o.PublicURL, "/"),
		streams: o.Streams, clipping: o.Clipping,
	}
	if h.resume == nil {
		h.resume = func(context.Context, db.Video) (int64, error) { return 0, nil }
	}
	return h
}

// Register mounts the routes of videos.
func Register(api huma.API, o HTTP) {
	h := newHandlers(o)
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "listVideos", Method: http.MethodGet, Path: "/api/v1/videos", Tags: []string{"videos"},
		Summary: "Public videos", Description: "A page of the videos that everyone may find, the newest first. Broadcasts that are over are among them.",
	}, problem.InvalidCursor, problem.InvalidParameter, problem.ValidationFailed), problem.Handle(o.Log, h.list))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "listUserVideos", Method: http.MethodGet, Path: "/api/v1/users/{user}/videos", Tags: []string{"videos"},
		Summary: "Public videos of a user", Description: "The newest first. Broadcasts that are over are among them.",
	}, problem.NotFound, problem.InvalidCursor, problem.InvalidParameter, problem.ValidationFailed), problem.Handle(o.Log, h.ofUser))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "getVideo", Method: http.MethodGet, Path: "/api/v1/videos/{id}", Tags: []string{"videos"},
		Summary: "One video", Description: "What the caller may not know of is not found.",
	}, problem.NotFound, problem.InvalidParameter), problem.Handle(o.Log, h.get))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "getVideoPlayback", Method: http.MethodGet, Path: "/api/v1/videos/{id}/playback", Tags: []string{"videos"},
		Summary: "Where to play a video",
		Description: "Of a video that is not public or unlisted the URLs have a token in their path, which every address below inherits, and are good until " +
			"token_expires_at. They end sooner when who may watch changes: where media answers 403, ask here again. A browser of this site also gets the token as " +
			"the cookie mediad_pb, for the plain addresses of this video.",
	}, problem.NotFound, problem.InvalidParameter), problem.Handle(o.Log, h.playback))
	h.registerManage(api, o.Log)
}

type listInput struct {
	Sort   string `query:"sort" enum:"newest" default:"newest" doc:"newest: by the time of making"`
	Stream string `query:"stream" maxLength:"64" doc:"Only of this stream, by its id" example:"0198f2a0-0000-7000-8000-000000000011"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before, with the same filters and sort"`
}

// ListBody is a page.
type ListBody struct {
	Items      []Body  `json:"items" nullable:"false"`
	NextCursor *string `json:"next_cursor" doc:"null: this was the last page"`
}

type listOutput struct{ Body ListBody }

func (h *handlers) list(ctx context.Context, in *listInput) (*listOutput, error) {
	return h.page(ctx, "videos?stream="+in.Stream, db.VideoFilter{Listed: true, StreamID: in.Stream}, in.Limit, in.Cursor)
}

type ofUserInput struct {
	User   string `path:"user" doc:"Id or @username" example:"@anna"`
	Sort   string `query:"sort" enum:"newest" default:"newest" doc:"newest: by the time of making"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before"`
}

// ofUser lists of a user what everyone finds in lists.
func (h *handlers) ofUser(ctx context.Context, in *ofUserInput) (*listOutput, error) {
	u, err := h.user(ctx, in.User)
	if err != nil {
		return nil, err
	}
	return h.page(ctx, "videos of "+u.ID, db.VideoFilter{Listed: true, OwnerID: u.ID}, in.Limit, in.Cursor)
}

// page is one page of videos; name binds its cursor to the list.
func (h *handlers) page(ctx context.Context, name string, f db.VideoFilter, limit int, cursor string) (*listOutput, error) {
	return h.pageOf(ctx, name, limit, cursor, func(q db.Queries, before string, limit int) ([]db.Video, error) {
		f.Before = before
		return q.ListVideos(f, limit)
	})
}

// pageOf is one page of what find finds with ids smaller than before.
func (h *handlers) pageOf(ctx context.Context, name string, limit int, cursor string, find func(q db.Queries, before string, limit int) ([]db.Video, error)) (*listOutput, error) {
	before := ""
	if cursor != "" {
		if err := h.cursors.Open(name, cursor, &before); err != nil {
			return nil, problem.New(problem.InvalidCursor, "The cursor was altered, or belongs to another list. Start again without it.")
		}
	}
	q := h.service.db.ReadReplica(ctx)
	found, err := find(q, before, limit+1) // one more tells whether there are more
	if err != nil {
		return nil, err
	}
	out := &listOutput{}
	if len(found) > limit {
		found = found[:limit]
		next, err := h.cursors.Seal(name, found[limit-1].ID)
		if err != nil {
			return nil, err
		}
		out.Body.NextCursor = &next
	}
	out.Body.Items, err = h.bodies(ctx, q, found)
	return out, err
}

type videoInput struct {
	ID string `path:"id" doc:"Id of the video" example:"0198f2a0-0000-7000-8000-000000000031"`
}

type videoOutput struct {
	ETag string `header:"ETag" hidden:"true"`
	Body Body
}

func (h *handlers) get(ctx context.Context, in *videoInput) (*videoOutput, error) {
	return h.one(ctx, in.ID)
}

// one is a video that the caller may see, with all that there is to tell.
func (h *handlers) one(ctx context.Context, id string) (*videoOutput, error) {
	v, renditions, err := h.find(ctx, id)
	if err != nil {
		return nil, err
	}
	q := h.service.db.Read(ctx)
	owner, err := q.FindUser(v.OwnerID)
	if err != nil {
		return nil, err
	}
	starts, err := startsOf(q, v)
	if err != nil {
		return nil, err
	}
	me, err := mine(ctx, q, []string{v.ID})
	if err != nil {
		return nil, err
	}
	out := &videoOutput{ETag: patch.VersionTag(v.Version), Body: h.body(v, owner, starts, renditions)}
	out.Body.Me = me[v.ID]
	chapters, err := h.chapters(ctx, q, v)
	for _, c := range chapters {
		out.Body.Chapters = append(out.Body.Chapters, ChapterBody{c.Start.Milliseconds(), c.Title})
	}
	return out, err
}

type playbackOutput struct {
	SetCookie string `header:"Set-Cookie" hidden:"true"`
	Body      PlaybackBody
}

func (h *handlers) playback(ctx context.Context, in *videoInput) (*playbackOutput, error) {
	v, renditions, err := h.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	file, err := h.media.OneFile(ctx, v.ID)
	if err != nil {
		return nil, err
	}
	grant := h.rights.Video(v)
	out := &playbackOutput{SetCookie: grant.SetCookie("/vod/"+v.ID+"/", caller.PeerOf(ctx).Secure)}
	out.Body = PlaybackBody{HLSURL: h.under(grant, v, "index.m3u8"), Qualities: qualities(renditions), TokenExpiresAt: grant.Stamp()}
	out.Body.ThumbnailURL, out.Body.StoryboardURL = h.pictures(grant, v)
	if out.Body.ResumeMS, err = h.resume(ctx, v); err != nil {
		return nil, err
	}
	if file {
		out.Body.DownloadURL = h.under(grant, v, "download.mp4")
	}
	return out, nil
}

// under is the address of a file of a video.
func (h *handlers) under(g playback.Grant, v db.Video, file string) string {
	return h.publicURL + g.Prefix() + "/vod/" + v.ID + "/" + file
}

// pictures are the addresses of a video's thumbnail and storyboard; nil while there are none.
func (h *handlers) pictures(g playback.Grant, v db.Video) (thumbnail, storyboard *string) {
	if v.Pictures != db.PicturesMade {
		return nil, nil
	}
	t, s := h.under(g, v, "thumb.jpg"), h.under(g, v, "storyboard.vtt")
	return &t, &s
}

// find finds what the caller may see. Whatever else there is does not exist.
func (h *handlers) find(ctx context.Context, id string) (db.Video, []Rendition, error) {
	v, err := h.service.Visible(ctx, id)
	var renditions []Rendition
	if err == nil {
		renditions, err = h.media.Renditions(ctx, v.ID)
	}
	return v, renditions, refusal(err)
}
