package admin

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/problem"
)

// registerUpkeep mounts what admins have done to the whole site.
func (h *handlers) registerUpkeep(api huma.API, op func(id, method, path, summary string, status int, more ...problem.Code) huma.Operation) {
	asked := func(id, path, summary, description string) huma.Operation {
		o := op(id, http.MethodPost, path, summary, http.StatusAccepted)
		o.Description = description + " One waits or runs at a time: where there is one, the answer shows that."
		return o
	}
	huma.Register(api, asked("sweepSite", "/admin/sweep", "Delete now what is due",
		"A job does at once what is else done now and then: recordings by retention, accounts whose time is over, and what has expired. Its log tells how much went."),
		problem.Handle(h.Log, func(ctx context.Context, _ *struct{}) (*startedOutput, error) { return h.started(ctx, h.Upkeep.Sweep) }))
	huma.Register(api, asked("backUpSite", "/admin/backup", "Back the site up",
		"A job writes all rows into a file of data_dir/backups of the node that runs it, as `mediad backup` does, and keeps the newest 7. Its log has the name. The file is not to be had over HTTP."),
		problem.Handle(h.Log, func(ctx context.Context, _ *struct{}) (*startedOutput, error) { return h.started(ctx, h.Upkeep.Backup) }))
}

type startedOutput struct {
	Location string `header:"Location" hidden:"true"`
	Body     JobBody
}

// started asks for a job, and shows it.
func (h *handlers) started(ctx context.Context, ask func(context.Context) (int64, error)) (*startedOutput, error) {
	id, err := ask(ctx)
	if err != nil {
		return nil, err
	}
	i, err := h.Jobs.Find(ctx, id)
	if err != nil {
		return nil, err
	}
	b, err := jobBody(i)
	return &startedOutput{"/api/v1/admin/jobs/" + strconv.FormatInt(id, 10), b}, err
}
