package stream

import (
	"context"
	"log/slog"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/api/problem"
	"mediad/store/db"
)

// registerAdmin mounts what admins do with the streams of all.
func (h *handlers) registerAdmin(api huma.API, log *slog.Logger) {
	signed := []problem.Code{problem.Unauthenticated, problem.ScopeMissing, problem.RoleRequired, problem.InvalidParameter}
	tags := []string{"admin"}
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "listAllStreams", Method: http.MethodGet, Path: "/api/v1/admin/streams", Tags: tags, Summary: "Streams of all, hidden ones as well",
		Description: "The newest first. What is on air comes with how it arrives.",
	}, append(signed, problem.InvalidCursor, problem.ValidationFailed)...), problem.Handle(log, h.all))
	huma.Register(api, problem.Document(api, huma.Operation{
		OperationID: "kickStream", Method: http.MethodPost, Path: "/api/v1/admin/streams/{stream}/kick", Tags: tags, Summary: "Cut a publisher",
		Description:   "The broadcast ends at once. The publisher may return: PUT /streams/{stream}/disabled keeps it out.",
		DefaultStatus: http.StatusAccepted,
	}, append(signed, problem.NotFound, problem.InvalidState)...), problem.Handle(log, h.kick))
}

// SummaryBody is how a broadcast arrives, in short.
type SummaryBody struct {
	Protocol   string   `json:"protocol" example:"rtmp"`
	Encoder    string   `json:"encoder" doc:"What the publisher calls itself" example:"obs-output module (libobs version 29.0.2)"`
	Remote     string   `json:"remote" doc:"The publisher's network: the address is masked" example:"203.0.113.0/24"`
	BitrateBPS int64    `json:"bitrate_bps" minimum:"0" doc:"Picture and sound, over ten seconds" example:"2660000"`
	FPS        float64  `json:"fps" minimum:"0" doc:"0: no picture" example:"30"`
	Alerts     []string `json:"alerts" nullable:"false" doc:"Codes of what stands" example:"[\"gop_too_long\"]"`
}

// AllBody is a stream as admins see it.
type AllBody struct {
	Body
	Health *SummaryBody `json:"health,omitempty" doc:"Absent: not on air"`
}

// AllListBody is a page.
type AllListBody struct {
	Items      []AllBody `json:"items" nullable:"false"`
	NextCursor *string   `json:"next_cursor" doc:"null: this was the last page"`
}

type allInput struct {
	hostInput
	State  string `query:"state" enum:"live,reconnecting,idle,disabled" doc:"Absent: all"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before, with the same state"`
}

type allOutput struct{ Body AllListBody }

func (h *handlers) all(ctx context.Context, in *allInput) (*allOutput, error) {
	name, before := "admin streams?state="+in.State, ""
	if in.Cursor != "" {
		if err := h.cursors.Open(name, in.Cursor, &before); err != nil {
			return nil, problem.New(problem.InvalidCursor, "The cursor was altered, or belongs to another list. Start again without it.")
		}
	}
	rows, err := h.inState(ctx, in.State, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &allOutput{Body: AllListBody{Items: make([]AllBody, 0, len(rows))}}
	if len(rows) > in.Limit {
		rows = rows[:in.Limit]
		next, err := h.cursors.Seal(name, rows[in.Limit-1].ID)
		if err != nil {
			return nil, err
		}
		out.Body.NextCursor = &next
	}
	if err := h.noteHidden(ctx, rows); err != nil {
		return nil, err
	}
	bodies, err := h.bodies(ctx, rows, in.host)
	if err != nil {
		return nil, err
	}
	for _, b := range bodies {
		out.Body.Items = append(out.Body.Items, AllBody{b, h.summary(b.Slug)})
	}
	return out, nil
}

// inState lists what is in a state, the newest first, with smaller ids than before.
func (h *handlers) inState(ctx context.Context, state, before string, want int) ([]db.Stream, error) {
	l := lister{q: h.service.db.Read(ctx), onAir: map[string]int{}, filter: db.StreamFilter{Existing: true}}
	for _, info := range h.live.LiveNow() {
		if string(info.State) == state {
			l.slugs = append(l.slugs, info.Stream)
		}
		if info.onAir() {
			l.onAir[db.NormSlug(info.Stream)] = 0
		}
	}
	switch state {
	case string(SessionLive), string(SessionReconnecting):
		l.query.sort = "newest"
		found, err := l.onAirAfter(position{ID: before}, len(l.slugs))
		rows := slices.DeleteFunc(rowsOf(found), func(row db.Stream) bool { return row.DisabledAt != nil })
		return rows[:min(want, len(rows))], err
	case "disabled":
		l.filter.Disabled = true
		return l.older(before, want)
	case "idle":
		l.withoutDisabled = true
		found, err := l.idle(before, want)
		return rowsOf(found), err
	}
	return l.older(before, want)
}

func rowsOf(found []listed) []db.Stream {
	rows := make([]db.Stream, len(found))
	for i, f := range found {
		rows[i] = f.row
	}
	return rows
}

// noteHidden keeps the record of who looks at what is private to others: one entry a page.
func (h *handlers) noteHidden(ctx context.Context, rows []db.Stream) error {
	var hidden []string
	for _, row := range rows {
		if row.Visibility == "private" && row.OwnerID != caller.Of(ctx).UserID {
			hidden = append(hidden, row.ID)
		}
	}
	if len(hidden) == 0 || h.service.audit == nil {
		return nil
	}
	return h.service.audit.Write(ctx, audit.Entry{Action: "stream.list", TargetType: "site", TargetID: "streams", After: map[string]any{"private": hidden}})
}

func (h *handlers) summary(slug string) *SummaryBody {
	health, ok := h.live.Health(slug)
	if !ok {
		return nil
	}
	b := &SummaryBody{Protocol: health.Protocol, Encoder: health.Encoder, Remote: health.Remote, Alerts: make([]string, 0, len(health.Alerts))}
	if v := health.Video; v != nil {
		b.BitrateBPS, b.FPS = v.Bitrate.Last10S, number(v.FPS)
	}
	if a := health.Audio; a != nil {
		b.BitrateBPS += a.Bitrate.Last10S
	}
	for _, alert := range health.Alerts {
		b.Alerts = append(b.Alerts, alert.Code)
	}
	return b
}

func (h *handlers) kick(ctx context.Context, in *streamInput) (*struct{}, error) {
	row, err := h.service.Find(ctx, in.Stream)
	if err != nil {
		return nil, refusal(err)
	}
	if !h.live.End(row.Slug, EndedByAdmin) {
		return nil, h.notOnAir(row)
	}
	return nil, h.service.NoteKick(ctx, row)
}
