package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/account"
	"mediad/api/audit"
	"mediad/api/problem"
	"mediad/store/db"
	"mediad/store/job"
)

// registerJobs mounts what admins do with jobs.
func (h *handlers) registerJobs(api huma.API, op func(id, method, path, summary string, status int, more ...problem.Code) huma.Operation) {
	huma.Register(api, op("listJobs", http.MethodGet, "/admin/jobs", "Jobs, the newest first", http.StatusOK), problem.Handle(h.Log, h.jobs))
	huma.Register(api, op("getJob", http.MethodGet, "/admin/jobs/{id}", "A job", http.StatusOK, problem.NotFound), problem.Handle(h.Log, h.job))
	huma.Register(api, op("retryJob", http.MethodPost, "/admin/jobs/{id}/retry", "Run a job again, now", http.StatusOK, problem.NotFound,
		problem.InvalidState), problem.Handle(h.Log, h.retryJob))
	huma.Register(api, op("cancelJob", http.MethodPost, "/admin/jobs/{id}/cancel", "Cancel a job; one that runs is told to stop", http.StatusOK,
		problem.NotFound, problem.InvalidState), problem.Handle(h.Log, h.cancelJob))
	huma.Register(api, op("updateJob", http.MethodPatch, "/admin/jobs/{id}", "Move a job that waits", http.StatusOK, problem.NotFound,
		problem.InvalidState), problem.Handle(h.Log, h.moveJob))
}

// JobBody is a job.
type JobBody struct {
	ID             string                      `json:"id" example:"4711"`
	CreatedAt      string                      `json:"created_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	UpdatedAt      string                      `json:"updated_at" format:"date-time" doc:"When it was begun last, or ended" example:"2026-03-01T12:00:00.000Z"`
	Kind           string                      `json:"kind" example:"webhook_delivery"`
	State          string                      `json:"state" doc:"waiting, running, failed, done, canceled" example:"running"`
	Subject        *string                     `json:"subject" doc:"What it is about; null: nothing in particular" example:"webhook:0198f2a0-0000-7000-8000-000000000091"`
	Priority       int                         `json:"priority" minimum:"1" maximum:"4" doc:"1 goes first" example:"2"`
	Percent        int                         `json:"percent" minimum:"0" maximum:"100" example:"40"`
	EtaS           *int64                      `json:"eta_s" doc:"null: nobody knows" example:"90"`
	Attempts       int                         `json:"attempts" minimum:"0" example:"1"`
	MaxAttempts    int                         `json:"max_attempts" minimum:"1" example:"8"`
	ScheduledAt    string                      `json:"scheduled_at" format:"date-time" doc:"When it is, or was, to run" example:"2026-03-01T12:00:00.000Z"`
	Worker         *string                     `json:"worker" doc:"The node that runs it, or did last; null: none did" example:"node-1-0198f2a0-0000-7000-8000-000000000095"`
	LeaseExpiresAt *string                     `json:"lease_expires_at" format:"date-time" doc:"When it is taken from a node that is silent until then; null: it does not run" example:"2026-03-01T12:00:30.000Z"`
	Error          account.Maybe[JobErrorBody] `json:"error" doc:"Of the last attempt that failed; null: none has"`
	LogTail        []string                    `json:"log_tail" nullable:"false" example:"[\"frame 1200\"]"`
	Payload        any                         `json:"payload" doc:"What it is to do"`
}

// JobErrorBody says why an attempt failed.
type JobErrorBody struct {
	Code   string `json:"code" example:"timeout"`
	Detail string `json:"detail" example:"context deadline exceeded"`
}

// JobsBody is a page.
type JobsBody struct {
	Items      []JobBody `json:"items" nullable:"false"`
	NextCursor *string   `json:"next_cursor" doc:"null: this was the last page"`
}

func jobBody(i job.Info) (JobBody, error) {
	payload, err := decoded(string(i.Args))
	if err != nil {
		return JobBody{}, err
	}
	b := JobBody{
		ID: strconv.FormatInt(i.ID, 10), CreatedAt: problem.Stamp(i.CreatedAt), UpdatedAt: problem.Stamp(changed(i)), Kind: i.Kind, State: string(i.State),
		Priority: i.Priority, Percent: i.Percent, Attempts: i.Attempts, MaxAttempts: i.MaxAttempts, ScheduledAt: problem.Stamp(i.ScheduledAt),
		LogTail: i.LogTail, Payload: payload,
	}
	if b.LogTail == nil {
		b.LogTail = []string{}
	}
	if i.Subject != "" {
		b.Subject = &i.Subject
	}
	if i.Worker != "" {
		b.Worker = &i.Worker
	}
	if i.Left != nil {
		s := int64(i.Left.Round(time.Second) / time.Second)
		b.EtaS = &s
	}
	if i.LeaseExpiresAt != nil {
		at := problem.Stamp(*i.LeaseExpiresAt)
		b.LeaseExpiresAt = &at
	}
	if i.ErrorCode != "" {
		b.Error.Value = &JobErrorBody{i.ErrorCode, i.ErrorDetail}
	}
	return b, nil
}

// changed is when a job was touched last.
func changed(i job.Info) time.Time {
	at := i.CreatedAt
	for _, later := range []*time.Time{i.AttemptedAt, i.FinalizedAt} {
		if later != nil && later.After(at) {
			at = *later
		}
	}
	return at
}

type jobsInput struct {
	PageInput
	Kind  string `query:"kind" maxLength:"64" doc:"Only this" example:"webhook_delivery"`
	State string `query:"state" enum:"waiting,running,failed,done,canceled" doc:"Only these" example:"failed"`
	Video string `query:"video" maxLength:"64" doc:"Only those about this video, by id" example:"0198f2a0-0000-7000-8000-000000000041"`
}

type jobsOutput struct{ Body JobsBody }

func (h *handlers) jobs(ctx context.Context, in *jobsInput) (*jobsOutput, error) {
	list := "jobs?" + url.Values{"kind": {in.Kind}, "state": {in.State}, "video": {in.Video}}.Encode()
	after, err := h.after(list, in.Cursor)
	if err != nil {
		return nil, err
	}
	f := job.Filter{Kind: in.Kind, State: job.State(in.State)}
	if after != "" {
		if f.Before, err = strconv.ParseInt(after, 10, 64); err != nil {
			return nil, err // we have sealed it
		}
	}
	if in.Video != "" {
		f.Subject = "video:" + in.Video
	}
	rows, err := h.Jobs.List(ctx, f, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &jobsOutput{Body: JobsBody{Items: []JobBody{}}}
	rows, out.Body.NextCursor, err = cut(h, list, in.Limit, rows, func(i job.Info) string { return strconv.FormatInt(i.ID, 10) })
	if err != nil {
		return nil, err
	}
	for _, i := range rows {
		b, err := jobBody(i)
		if err != nil {
			return nil, err
		}
		out.Body.Items = append(out.Body.Items, b)
	}
	return out, nil
}

// JobInput names a job.
type JobInput struct {
	ID string `path:"id" maxLength:"32" doc:"Id of the job" example:"4711"`
}

type jobOutput struct{ Body JobBody }

// find reads the job of an id as callers write it.
func (h *handlers) find(ctx context.Context, id string) (job.Info, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n <= 0 {
		return job.Info{}, noJob()
	}
	i, err := h.Jobs.Find(ctx, n)
	return i, jobProblem(err, i)
}

// act does something to a job and records it in one transaction, so that the record has what was done and nothing else. It shows the job as it
// is then.
func (h *handlers) act(ctx context.Context, id, action string, do func(tx job.Tx, id int64) error) (*jobOutput, error) {
	before, err := h.find(ctx, id)
	if err != nil {
		return nil, err
	}
	err = h.Accounts.DB().Tx(ctx, func(q db.Queries) error {
		if err := do(q, before.ID); err != nil {
			return err
		}
		return h.Accounts.Record(ctx, q, audit.Entry{
			Action: action, TargetType: "job", TargetID: id, Before: map[string]any{"kind": before.Kind, "state": before.State, "priority": before.Priority},
		})
	})
	if err != nil {
		return nil, jobProblem(err, before)
	}
	return h.job(ctx, &JobInput{id})
}

func noJob() error { return problem.New(problem.NotFound, "There is no such job, or no more.") }

func jobProblem(err error, i job.Info) error {
	switch {
	case errors.Is(err, job.ErrNotFound):
		return noJob()
	case errors.Is(err, job.ErrState):
		p := problem.New(problem.InvalidState, "The job's state does not allow it.")
		p.State = string(i.State)
		return p
	}
	return err
}

func (h *handlers) job(ctx context.Context, in *JobInput) (*jobOutput, error) {
	i, err := h.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	b, err := jobBody(i)
	return &jobOutput{b}, err
}

func (h *handlers) retryJob(ctx context.Context, in *JobInput) (*jobOutput, error) {
	return h.act(ctx, in.ID, "job.retry", func(tx job.Tx, id int64) error { return h.Jobs.Retry(ctx, tx, id) })
}

func (h *handlers) cancelJob(ctx context.Context, in *JobInput) (*jobOutput, error) {
	return h.act(ctx, in.ID, "job.cancel", func(tx job.Tx, id int64) error { return h.Jobs.Cancel(ctx, tx, id) })
}

// MoveBody moves a job.
type MoveBody struct {
	Priority int `json:"priority" minimum:"1" maximum:"4" doc:"1 goes first" example:"1"`
}

type moveInput struct {
	JobInput
	Body MoveBody
}

func (h *handlers) moveJob(ctx context.Context, in *moveInput) (*jobOutput, error) {
	return h.act(ctx, in.ID, "job.priority", func(tx job.Tx, id int64) error { return h.Jobs.SetPriority(ctx, tx, id, in.Body.Priority) })
}
