package stream

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/caller"
	"mediad/api/patch"
	"mediad/api/problem"
	"mediad/store/db"
)

// registerManage mounts what owners do with their streams.
func (h *handlers) registerManage(api huma.API, log *slog.Logger) {
	const one = "/api/v1/streams/{stream}"
	tags := []string{"streams"}
	// signed are the refusals of who may not, written those of a body.
	signed := func(more ...problem.Code) []problem.Code {
		return append([]problem.Code{problem.Unauthenticated, problem.ScopeMissing, problem.InvalidParameter}, more...)
	}
	owned := func(more ...problem.Code) []problem.Code {
		return signed(append(more, problem.Forbidden, problem.RoleRequired, problem.NotFound)...)
	}
	written := func(codes []problem.Code) []problem.Code {
		return append(codes, problem.MalformedJSON, problem.UnsupportedMediaType, problem.ValidationFailed)
	}
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "createStream", Method: http.MethodPost, Path: "/api/v1/streams", Tags: tags, Summary: "Make a stream",
		Description: "Its first key is shown this once.", DefaultStatus: http.StatusCreated,
	}, written(signed(problem.RoleRequired, problem.SlugTaken, problem.LimitReached))...), problem.Handle(log, h.create))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "listMyStreams", Method: http.MethodGet, Path: "/api/v1/me/streams", Tags: tags, Summary: "The caller's own streams",
		Description: "The newest first.",
	}, signed(problem.RoleRequired, problem.InvalidCursor, problem.ValidationFailed)...), problem.Handle(log, h.mine))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "updateStream", Method: http.MethodPatch, Path: one, Tags: tags, Summary: "Change a stream",
		Description: "A JSON merge patch: what is absent stays, null is the default of a new stream. The slug stays once there was a broadcast.",
	}, written(owned(problem.SlugTaken, problem.InvalidState, problem.VersionMismatch))...), problem.Handle(log, h.update))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "deleteStream", Method: http.MethodDelete, Path: one, Tags: tags, Summary: "Delete a stream",
		Description: "Its replays stay videos of their owner, and its slug is not given to another.", DefaultStatus: http.StatusNoContent,
	}, owned(problem.StreamLive, problem.VersionMismatch)...), problem.Handle(log, h.remove))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "createStreamKey", Method: http.MethodPost, Path: one + "/keys", Tags: tags, Summary: "Give a stream one more key",
		Description: "The key is shown this once.", DefaultStatus: http.StatusCreated,
	}, written(owned(problem.LimitReached))...), problem.Handle(log, h.addKey))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "rotateStreamKeys", Method: http.MethodPost, Path: one + "/keys/rotate", Tags: tags, Summary: "Replace all keys of a stream by a new one",
		Description: "The key is shown this once. The others die after the grace; whoever publishes with one of them is cut then.", DefaultStatus: http.StatusCreated,
	}, written(owned())...), problem.Handle(log, h.rotate))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "deleteStreamKey", Method: http.MethodDelete, Path: one + "/keys/{key_id}", Tags: tags, Summary: "Take a key back",
		Description: "Whoever publishes with it is cut within a second.", DefaultStatus: http.StatusNoContent,
	}, owned()...), problem.Handle(log, h.revokeKey))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "endStream", Method: http.MethodPost, Path: one + "/end", Tags: tags, Summary: "End a broadcast",
		Description: "At once: nobody is waited for.", DefaultStatus: http.StatusAccepted,
	}, owned(problem.InvalidState)...), problem.Handle(log, h.end))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "disableStream", Method: http.MethodPut, Path: one + "/disabled", Tags: tags, Summary: "Refuse publishing to a stream",
		Description: "What is on air ends within a second. What an admin has disabled its owner cannot change.", DefaultStatus: http.StatusNoContent,
	}, written(owned())...), problem.Handle(log, h.disable))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "enableStream", Method: http.MethodDelete, Path: one + "/disabled", Tags: tags, Summary: "Allow publishing to a stream again",
		Description: "What an admin has disabled only an admin allows again: 403.", DefaultStatus: http.StatusNoContent,
	}, owned()...), problem.Handle(log, h.enable))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "listStreamDisconnects", Method: http.MethodGet, Path: one + "/disconnects", Tags: tags, Summary: "Why publishers left or were refused",
		Description: "The last 100, the newest first.",
	}, owned(problem.InvalidCursor, problem.ValidationFailed)...), problem.Handle(log, h.disconnects))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "getStreamHealth", Method: http.MethodGet, Path: one + "/health", Tags: tags, Summary: "How a broadcast arrives",
	}, signed(problem.Forbidden, problem.NotFound, problem.InvalidState)...), problem.Handle(log, h.health))
}

// refusal says in the API's words what this package refused; other errors it returns as they are.
func refusal(err error) error {
	var bad *Invalid
	if errors.As(err, &bad) {
		p := problem.New(problem.ValidationFailed, "A value is not allowed; errors tells which.")
		for _, f := range bad.Fields {
			field := problem.Field{Pointer: "/" + f.Name, Code: f.Code, Message: f.Message}
			if f.Max > 0 {
				bound := float64(f.Max)
				field.Max = &bound
			}
			if f.Min != nil {
				bound := float64(*f.Min)
				field.Min = &bound
			}
			p.Errors = append(p.Errors, field)
		}
		return p
	}
	var limit *LimitError
	if errors.As(err, &limit) {
		p := problem.New(problem.LimitReached, "There are as many "+limit.What+" as are allowed. Delete one first.")
		p.Max = int64(limit.Max)
		return p
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return problem.New(problem.NotFound, "There is no stream of that name or id.")
	case errors.Is(err, ErrSlugTaken):
		return problem.New(problem.SlugTaken, "Another stream has or had that name.")
	case errors.Is(err, ErrSlugFixed):
		return problem.New(problem.InvalidState, "The slug stays once there was a broadcast: links and recordings have it.")
	case errors.Is(err, ErrHeld):
		return problem.New(problem.Forbidden, "An administrator has disabled the stream: only they can allow publishing to it again. Its disabled_reason says why.")
	case errors.Is(err, ErrVersion):
		return problem.New(problem.VersionMismatch, "The stream was changed meanwhile. Read it again.")
	}
	return err
}

// NewBody is a stream to be made.
type NewBody struct {
	Slug             string   `json:"slug,omitempty" doc:"The name in URLs, 3 to 40 characters of a-z, 0-9 and -; absent: a random one" example:"friday-blitz"`
	Title            string   `json:"title" doc:"Plain text, 1 to 120 characters" example:"Friday blitz"`
	Description      string   `json:"description,omitempty" doc:"Plain text, up to 2000 characters" example:"Three minutes each."`
	Category         string   `json:"category,omitempty" doc:"The slug of one of GET /api/v1/categories; absent: none" example:"games"`
	Tags             []string `json:"tags,omitempty" nullable:"false" doc:"Up to 10 of up to 30 characters; of two that differ in case alone the first stays" example:"[\"blitz\",\"chess\"]"`
	Visibility       string   `json:"visibility,omitempty" doc:"public (the default), unlisted, followers, private" example:"public"`
	Mature           bool     `json:"mature,omitempty" example:"false"`
	Language         string   `json:"language,omitempty" doc:"BCP 47" example:"en"`
	Record           *bool    `json:"record,omitempty" nullable:"false" example:"true"`
	ReplayVisibility string   `json:"replay_visibility,omitempty" doc:"Absent: as visibility" example:"public"`
	DVRS             *int     `json:"dvr_s,omitempty" nullable:"false" doc:"0 to 86400" example:"7200"`
	Latency          string   `json:"latency,omitempty" doc:"low (the default), normal" example:"low"`
	ResumeWindowS    *int     `json:"resume_window_s,omitempty" nullable:"false" doc:"0 to 600" example:"60"`
	MaxViewers       *int     `json:"max_viewers,omitempty" nullable:"false" doc:"1 or more. Kept; not enforced yet" example:"500"`

	Publish *NewPublishBody `json:"publish,omitempty" doc:"Rules for publishers"`
}

// hostInput knows the host that the caller used, which is in no header.
type hostInput struct{ host string }

// Resolve implements huma.Resolver.
func (i *hostInput) Resolve(ctx huma.Context) []error {
	i.host = ctx.Host()
	return nil
}

type newInput struct {
	hostInput
	Body NewBody
}

type ownOutput struct {
	Location string `header:"Location" hidden:"true"`
	ETag     string `header:"ETag" hidden:"true"`
	Body     Body
}

func (h *handlers) create(ctx context.Context, in *newInput) (*ownOutput, error) {
	who, b := caller.Of(ctx), in.Body
	if strings.TrimSpace(b.Title) == "" {
		return nil, refusal(&Invalid{Fields: []InvalidField{{Name: "title", Code: "too_short", Message: "1 to 120 characters"}}})
	}
	rules := b.Publish.orNone()
	made, err := h.service.Create(ctx, Create{
		OwnerID: who.UserID, Slug: b.Slug, Title: b.Title, Description: b.Description, Category: b.Category, Tags: b.Tags, Language: b.Language,
		Visibility: b.Visibility, ReplayVisibility: b.ReplayVisibility, Latency: b.Latency, Mature: b.Mature, Record: b.Record, DVRS: b.DVRS,
		ResumeWindowS: b.ResumeWindowS, MaxViewers: b.MaxViewers, Protocols: rules.Protocols, MaxBitrateBPS: rules.MaxBitrateBPS,
		Limited: !who.Role.AtLeast(caller.Admin), // nobody would raise an admin's
	})
	if err != nil {
		return nil, refusal(err)
	}
	return h.made(ctx, made.Stream, made.Secret, in.host)
}

// made is the owner's view of a stream together with a key that was made just now.
func (h *handlers) made(ctx context.Context, row db.Stream, secret, host string) (*ownOutput, error) {
	out, err := h.owner(ctx, row, host)
	if err != nil {
		return nil, err
	}
	out.Location, out.Body.StreamKey = "/api/v1/streams/"+row.ID, secret
	return out, nil
}

// owner is a stream as its owner sees it.
func (h *handlers) owner(ctx context.Context, row db.Stream, host string) (*ownOutput, error) {
	bodies, err := h.bodies(ctx, []db.Stream{row}, host)
	if err != nil {
		return nil, err
	}
	return &ownOutput{ETag: patch.VersionTag(row.Version), Body: bodies[0]}, nil
}

type mineInput struct {
	hostInput
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before"`
}

func (h *handlers) mine(ctx context.Context, in *mineInput) (*listOutput, error) {
	who := caller.Of(ctx)
	name, before := "me/streams "+who.UserID, ""
	if in.Cursor != "" {
		if err := h.cursors.Open(name, in.Cursor, &before); err != nil {
			return nil, problem.New(problem.InvalidCursor, "The cursor was altered, or belongs to another list. Start again without it.")
		}
	}
	rows, err := h.service.OwnedBy(ctx, who.UserID, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &listOutput{}
	if len(rows) > in.Limit {
		rows = rows[:in.Limit]
		next, err := h.cursors.Seal(name, rows[in.Limit-1].ID)
		if err != nil {
			return nil, err
		}
		out.Body.NextCursor = &next
	}
	out.Body.Items, err = h.bodies(ctx, rows, in.host)
	return out, err
}

// PatchBody is what may be changed of a stream.
type PatchBody struct {
	Slug             patch.Field[string]   `json:"slug,omitempty" doc:"Not after the first broadcast" example:"friday-blitz"`
	Title            patch.Field[string]   `json:"title,omitempty" doc:"Plain text, 1 to 120 characters; null: the slug" example:"Friday blitz"`
	Description      patch.Field[string]   `json:"description,omitempty" doc:"Plain text, up to 2000 characters" example:"Three minutes each."`
	Category         patch.Field[string]   `json:"category,omitempty" doc:"The slug of one of GET /api/v1/categories; empty or null: none" example:"games"`
	Tags             patch.Field[[]string] `json:"tags,omitempty" doc:"In the place of those there are" example:"[\"blitz\",\"chess\"]"`
	Visibility       patch.Field[string]   `json:"visibility,omitempty" doc:"public, unlisted, followers, private" example:"public"`
	Mature           patch.Field[bool]     `json:"mature,omitempty" example:"false"`
	Language         patch.Field[string]   `json:"language,omitempty" doc:"BCP 47" example:"en"`
	Record           patch.Field[bool]     `json:"record,omitempty" example:"true"`
	ReplayVisibility patch.Field[string]   `json:"replay_visibility,omitempty" doc:"null: as visibility. Absent: it follows a new visibility if the two were the same" example:"public"`
	DVRS             patch.Field[int]      `json:"dvr_s,omitempty" doc:"0 to 86400" example:"7200"`
	Latency          patch.Field[string]   `json:"latency,omitempty" doc:"low, normal" example:"low"`
	ResumeWindowS    patch.Field[int]      `json:"resume_window_s,omitempty" doc:"0 to 600" example:"60"`
	MaxViewers       patch.Field[int]      `json:"max_viewers,omitempty" doc:"1 or more; null: any number. Kept; not enforced yet" example:"500"`

	Publish patch.Field[PublishPatch] `json:"publish,omitempty" doc:"Rules for publishers; null: none"`
}

// apply changes the row; defaults are those of a new stream.
func (b PatchBody) apply(row *db.Stream, defaults db.Stream) {
	b.Slug.Apply(&row.Slug)
	b.Title.Apply(&row.Title)
	if b.Title.Null {
		row.Title = row.Slug
	}
	b.Description.Apply(&row.Description)
	b.Category.Apply(&row.Category)
	b.Tags.Apply(&row.Tags)
	b.Mature.Apply(&row.Mature)
	b.Language.Apply(&row.Language)
	b.MaxViewers.ApplyPtr(&row.MaxViewers)
	together := row.ReplayVisibility == row.Visibility
	applyOr(b.Visibility, &row.Visibility, defaults.Visibility)
	if together { // as it was made: what was shown to followers alone must not be everybody's afterwards
		row.ReplayVisibility = row.Visibility
	}
	applyOr(b.ReplayVisibility, &row.ReplayVisibility, row.Visibility)
	applyOr(b.Record, &row.Record, defaults.Record)
	applyOr(b.DVRS, &row.DVRS, defaults.DVRS)
	applyOr(b.Latency, &row.Latency, defaults.Latency)
	applyOr(b.ResumeWindowS, &row.ResumeWindowS, defaults.ResumeWindowS)
	b.Publish.Value.apply(row, b.Publish.Null)
}

func applyOr[T any](f patch.Field[T], to *T, otherwise T) {
	if f.Apply(to); f.Null {
		*to = otherwise
	}
}

type updateInput struct {
	hostInput
	Stream  string `path:"stream" doc:"Id or slug" example:"main"`
	IfMatch string `header:"If-Match" doc:"The ETag of what is changed; 412 if it was changed meanwhile"`
	Body    PatchBody
}

func (h *handlers) update(ctx context.Context, in *updateInput) (*ownOutput, error) {
	row, err := h.owned(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	version, err := patch.Matched(in.IfMatch)
	if err != nil {
		return nil, err
	}
	if _, on := h.live.LiveState(row.Slug); on && in.Body.Slug.Present && in.Body.Slug.Value != row.Slug {
		return nil, refusal(ErrSlugFixed) // its session may have no row yet
	}
	after, err := h.service.Edit(ctx, row.ID, Edit{
		Version: version, Change: func(row *db.Stream) { in.Body.apply(row, h.service.Defaults()) },
	})
	if err != nil {
		return nil, refusal(err)
	}
	return h.owner(ctx, after, in.host)
}

type removeInput struct {
	Stream  string `path:"stream" doc:"Id or slug" example:"main"`
	IfMatch string `header:"If-Match" doc:"The ETag of what is deleted; 412 if it was changed meanwhile"`
}

func (h *handlers) remove(ctx context.Context, in *removeInput) (*struct{}, error) {
	row, err := h.owned(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	version, err := patch.Matched(in.IfMatch)
	if err != nil {
		return nil, err
	}
	if _, on := h.live.LiveState(row.Slug); on {
		return nil, problem.New(problem.StreamLive, "End the broadcast first.")
	}
	defer h.live.Recheck() // a publisher may have come in between
	return nil, refusal(h.service.Delete(ctx, row.ID, version))
}

// NewKeyBody is a key to be made.
type NewKeyBody struct {
	Label     string     `json:"label,omitempty" doc:"Up to 40 characters" example:"Laptop"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" nullable:"false" doc:"Absent: never" example:"2027-03-01T12:00:00.000Z"`
}

type newKeyInput struct {
	Stream string `path:"stream" doc:"Id or slug" example:"main"`
	Body   *NewKeyBody
}

type keyOutput struct {
	Location string `header:"Location" hidden:"true"`
	Body     KeyBody
}

func keyMade(streamID string, key db.StreamKey, secret string) *keyOutput {
	out := &keyOutput{Location: "/api/v1/streams/" + streamID + "/keys/" + key.ID, Body: keyBody(key)}
	out.Body.StreamKey = secret
	return out
}

func (h *handlers) addKey(ctx context.Context, in *newKeyInput) (*keyOutput, error) {
	row, err := h.owned(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	label, expires := "", time.Time{}
	if b := in.Body; b != nil {
		if label = b.Label; b.ExpiresAt != nil {
			expires = *b.ExpiresAt
		}
	}
	key, secret, err := h.service.AddKey(ctx, row.ID, label, expires)
	if err != nil {
		return nil, refusal(err)
	}
	return keyMade(row.ID, key, secret), nil
}

// RotateBody says how keys are replaced.
type RotateBody struct {
	GraceS int `json:"grace_s,omitempty" doc:"How long the others still work: 0 to 3600" example:"60"`
}

type rotateInput struct {
	Stream string `path:"stream" doc:"Id or slug" example:"main"`
	Body   *RotateBody
}

func (h *handlers) rotate(ctx context.Context, in *rotateInput) (*keyOutput, error) {
	row, err := h.owned(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	var r Rotate
	if in.Body != nil {
		// Bounded first: more seconds than a Duration holds would come out small.
		r.Grace = time.Duration(min(max(in.Body.GraceS, -1), int(2*maxGrace/time.Second))) * time.Second
	}
	key, secret, err := h.service.RotateKey(ctx, row.ID, r)
	if err != nil {
		return nil, refusal(err)
	}
	h.live.Recheck()
	return keyMade(row.ID, key, secret), nil
}

type keyInput struct {
	Stream string `path:"stream" doc:"Id or slug" example:"main"`
	KeyID  string `path:"key_id" doc:"Id of the key" example:"0198f2a0-0000-7000-8000-000000000041"`
}

func (h *handlers) revokeKey(ctx context.Context, in *keyInput) (*struct{}, error) {
	row, err := h.owned(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	err = h.service.RevokeKey(ctx, row.ID, in.KeyID)
	if errors.Is(err, ErrNotFound) {
		return nil, problem.New(problem.NotFound, "The stream has no key of that id.")
	}
	h.live.Recheck()
	return nil, err
}

func (h *handlers) end(ctx context.Context, in *streamInput) (*struct{}, error) {
	row, err := h.owned(ctx, in.Stream)
	if err != nil {
		return nil, err
	}
	reason := EndedByOwner
	if caller.Of(ctx).UserID != row.OwnerID {
		reason = EndedByAdmin
	}
	if !h.live.End(row.Slug, reason) {
		return nil, h.notOnAir(row)
	}
	return nil, h.service.NoteEnd(ctx, row, reason)
}

func (h *handlers) notOnAir(row db.Stream) error {
	p := problem.New(problem.InvalidState, "The stream is not on air.")
	info, session := h.live.LiveState(row.Slug)
	p.State = state(row, info, session)
	return p
}

// DisableBody may say why.
type DisableBody struct {
	Reason string `json:"reason,omitempty" doc:"Plain text, up to 200 characters" example:"On holiday"`
}

type disableInput struct {
	Stream string `path:"stream" doc:"Id or slug" example:"main"`
	Body   *DisableBody
}

func (h *handlers) disable(ctx context.Context, in *disableInput) (*struct{}, error) {
	reason := ""
	if in.Body != nil {
		reason = in.Body.Reason
	}
	return h.setDisabled(ctx, in.Stream, true, reason)
}

func (h *handlers) enable(ctx context.Context, in *streamInput) (*struct{}, error) {
	return h.setDisabled(ctx, in.Stream, false, "")
}

func (h *handlers) setDisabled(ctx context.Context, stream string, disabled bool, reason string) (*struct{}, error) {
	row, err := h.owned(ctx, stream)
	if err != nil {
		return nil, err
	}
	if err := h.service.SetDisabled(ctx, row.ID, disabled, reason); err != nil {
		return nil, refusal(err)
	}
	h.live.Recheck()
	return nil, nil
}
