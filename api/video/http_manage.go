package video

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/caller"
	"mediad/api/patch"
	"mediad/api/problem"
	"mediad/api/stream"
	"mediad/store/db"
)

// registerManage mounts what people do with their videos, and clips.
func (h *handlers) registerManage(api huma.API, log *slog.Logger) {
	signed := []problem.Code{problem.Unauthenticated, problem.ScopeMissing, problem.InvalidParameter, problem.NotFound}
	owned := append([]problem.Code{problem.Forbidden, problem.RoleRequired, problem.VersionMismatch, problem.ValidationFailed}, signed...)
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "updateVideo", Method: http.MethodPatch, Path: "/api/v1/videos/{id}", Tags: []string{"videos"}, Summary: "Change a video",
		Description: "A JSON merge patch: what is absent stays. A clip out of somebody else's broadcast gets no wider visibility than that had.",
	}, append([]problem.Code{problem.MalformedJSON, problem.UnsupportedMediaType}, owned...)...), problem.Handle(log, h.update))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "deleteVideo", Method: http.MethodDelete, Path: "/api/v1/videos/{id}", Tags: []string{"videos"}, Summary: "Delete a video",
		Description: "Gone from lists and playback within 5 s; its media goes after 7 days, but for what clips are made of. A clip is deleted by its owner or by that of the " +
			"stream; moderators say why.", DefaultStatus: http.StatusNoContent,
	}, owned...), problem.Handle(log, h.remove))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "createClip", Method: http.MethodPost, Path: "/api/v1/streams/{stream}/clips", Tags: []string{"clips"}, Summary: "Cut a clip",
		Description: "Of the stream's newest broadcast: while it is on air within its DVR range, then out of its replay, exact to the frame. It belongs to the caller and can be " +
			"played at once. Who may, the site says: the channel's followers, everybody, or its owner alone. Nobody may watch it who could not watch the broadcast when it was cut; what becomes of that later changes no clip.",
		DefaultStatus: http.StatusCreated,
	}, append([]problem.Code{
		problem.MalformedJSON, problem.UnsupportedMediaType, problem.ValidationFailed, problem.Forbidden, problem.BlockedByUser, problem.InvalidState,
		problem.LimitReached, problem.Overloaded,
	}, signed...)...), problem.Handle(log, h.createClip))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "listClips", Method: http.MethodGet, Path: "/api/v1/streams/{stream}/clips", Tags: []string{"clips"}, Summary: "Clips of a stream",
		Description: "The newest first, those that the caller may find: public ones, its followers those for followers, its owner all.",
	}, append([]problem.Code{problem.InvalidCursor, problem.ValidationFailed}, signed...)...), problem.Handle(log, h.clips))
}

// PatchBody is what may be changed of a video.
type PatchBody struct {
	Title       patch.Field[string] `json:"title,omitempty" doc:"Plain text, 1 to 120 characters" example:"Friday blitz"`
	Description patch.Field[string] `json:"description,omitempty" doc:"Plain text, up to 5000 characters" example:"Three minutes each."`
	Visibility  patch.Field[string] `json:"visibility,omitempty" doc:"public, unlisted, followers, private" example:"unlisted"`
	Mature      patch.Field[bool]   `json:"mature,omitempty" example:"false"`
}

type patchInput struct {
	ID      string `path:"id" doc:"Id of the video" example:"0198f2a0-0000-7000-8000-000000000031"`
	IfMatch string `header:"If-Match" doc:"The ETag of what is changed; 412 if it was changed meanwhile"`
	Body    PatchBody
}

func (h *handlers) update(ctx context.Context, in *patchInput) (*videoOutput, error) {
	version, err := patch.Matched(in.IfMatch)
	if err != nil {
		return nil, err
	}
	_, err = h.service.Update(ctx, in.ID, Edit{Version: version, Change: func(v *db.Video) {
		in.Body.Title.Apply(&v.Title)
		in.Body.Description.Apply(&v.Description)
		in.Body.Visibility.Apply(&v.Visibility)
		in.Body.Mature.Apply(&v.Mature)
	}})
	if err != nil {
		return nil, refusal(err)
	}
	return h.one(ctx, in.ID)
}

type removeInput struct {
	ID      string `path:"id" doc:"Id of the video" example:"0198f2a0-0000-7000-8000-000000000031"`
	Reason  string `query:"reason" doc:"Why, up to 500 characters; needed of moderators" example:"spam"`
	IfMatch string `header:"If-Match" doc:"The ETag of what is deleted; 412 if it was changed meanwhile"`
}

func (h *handlers) remove(ctx context.Context, in *removeInput) (*struct{}, error) {
	version, err := patch.Matched(in.IfMatch)
	if err != nil {
		return nil, err
	}
	return nil, refusal(h.service.Delete(ctx, in.ID, version, in.Reason))
}

// NewClipBody is a clip to be cut.
type NewClipBody struct {
	Title      string `json:"title,omitempty" doc:"Plain text, up to 120 characters; absent: the stream's" example:"What a move"`
	EndMS      *int64 `json:"end_ms,omitempty" nullable:"false" doc:"Where it ends, in milliseconds since the broadcast began; absent: now" example:"91000"`
	DurationMS *int64 `json:"duration_ms" nullable:"false" doc:"5000 to 120000" example:"30000"`
}

type newClipInput struct {
	Stream string `path:"stream" doc:"Id or slug" example:"main"`
	Body   NewClipBody
}

type createdOutput struct {
	Location string `header:"Location" hidden:"true"`
	ETag     string `header:"ETag" hidden:"true"`
	Body     Body
}

func (h *handlers) createClip(ctx context.Context, in *newClipInput) (*createdOutput, error) {
	of, err := h.streams.Visible(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	if in.Body.DurationMS == nil {
		return nil, clipRefusal(&InvalidError{Field: "duration_ms", Code: "required", Reason: "how long the clip is to be, in milliseconds"})
	}
	v, err := h.clipping.Create(ctx, of, Clip{Title: in.Body.Title, EndMS: in.Body.EndMS, DurationMS: *in.Body.DurationMS})
	if err != nil {
		return nil, err
	}
	out, err := h.one(ctx, v.ID)
	if err != nil {
		return nil, err
	}
	return &createdOutput{Location: "/api/v1/videos/" + v.ID, ETag: out.ETag, Body: out.Body}, nil
}

type clipsInput struct {
	Stream string `path:"stream" doc:"Id or slug" example:"main"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before"`
}

func (h *handlers) clips(ctx context.Context, in *clipsInput) (*listOutput, error) {
	of, err := h.streams.Visible(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	found, err := h.findable(ctx, of)
	if err != nil {
		return nil, err
	}
	return h.pageOf(ctx, "clips of "+of.ID, in.Limit, in.Cursor, func(q db.Queries, before string, limit int) ([]db.Video, error) {
		return q.ListClipsOf(of.ID, found, before, limit)
	})
}

// findable are the visibilities that the caller finds in a stream's list of clips.
func (h *handlers) findable(ctx context.Context, of db.Stream) ([]string, error) {
	if who := caller.Of(ctx); who.MayRead(of.OwnerID) && who.Has(caller.VideosRead) {
		return visibilities, nil
	}
	may, err := stream.MayWatch(ctx, h.service.relations, "followers", of.OwnerID, caller.VideosRead)
	if may {
		return []string{"public", "followers"}, err
	}
	return []string{"public"}, err
}

// refusal says in the API's words what is refused of a video; other errors it returns as they are.
func refusal(err error) error {
	if errors.Is(err, ErrNotFound) {
		return problem.New(problem.NotFound, "There is no video of that id.")
	}
	return err
}
