package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"mediad/api/alert"
	"mediad/api/upkeep"
	"mediad/store/db"
	"mediad/store/event"
	"mediad/store/job"
	"mediad/store/outbox"
	"mediad/store/river"
)

// jobQueue is handed to services that ask for jobs before the queue is made, since it is made of their kinds. Nobody calls it until then.
type jobQueue struct{ *river.Queue }

var _ job.Admin = (*jobQueue)(nil)

// eventTopic tells nodes of an event: "TYPE KEY" of its envelope.
const eventTopic = "event"

// interactions are the events that are counted as such, with the word for it.
var interactions = map[string]string{event.FollowCreated: "follow"}

// openJobs makes the queue and the relay of events, once all services are there.
func (s *site) openJobs(told watchers, now func() time.Time, log *slog.Logger) (err error) {
	s.alerts = alert.New(alert.Options{DB: s.db, Audit: s.audit, Host: s.node, Node: func() string { return s.jobs.Node() }, Now: now, Log: log})
	s.events = outbox.New(outbox.Options{DB: s.db, Now: now, Log: log, Consumers: []outbox.Consumer{
		{Name: "bus", Take: func(ctx context.Context, e db.Event) error {
			eachRowOf(e.Key, s.db.Forget)
			s.shared.changed(ctx, log, eventTopic, e.Type+" "+e.Key)
			return nil // who was not told is told to look for himself once he can be
		}},
		{Name: "webhooks", Take: s.webhooks.Take},
		{Name: "metrics", Take: func(_ context.Context, e db.Event) error {
			if kind, is := interactions[e.Type]; is && told.interacted != nil {
				told.interacted(kind)
			}
			return nil
		}},
	}})
	s.upkeep = upkeep.New(upkeep.Options{DB: s.db, Jobs: s.jobs, Record: s.accounts.Record})
	s.jobs.Queue, err = river.New(river.Options{
		DB: s.db, Node: hostName(), Now: now, Log: log, Failed: jobFailed(now), Observe: told.job,
		Kinds: slices.Concat(s.exports.Jobs(), s.webhooks.Jobs(), s.upkeep.Jobs(), []job.Kind{
			job.Periodic("outbox_tidy", time.Hour, s.events.Tidy),
			job.Periodic("alert_tidy", time.Hour, s.alerts.Tidy),
			job.Periodic("account_erase", time.Hour, s.eraseDue),
		}),
	})
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	return nil
}

// jobFailed tells of jobs that have failed for good.
func jobFailed(now func() time.Time) func(db.Queries, river.Failure) error {
	return func(q db.Queries, f river.Failure) error {
		return event.Emit(q, event.Event{Type: event.JobFailed, Key: fmt.Sprintf("job:%d", f.ID), Data: map[string]any{
			"job_id": fmt.Sprint(f.ID), "kind": f.Kind, "attempts": f.Attempts, "code": f.Code, "subject": f.Subject,
		}}, now())
	}
}
