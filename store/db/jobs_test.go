package db_test

import (
	"mediad/store/db"
)

// jobSteps run every statement on jobs, the outbox and webhooks.
func jobSteps() []func(q db.Queries) error {
	var steps []func(q db.Queries) error
	step := func(fn func(q db.Queries) error) { steps = append(steps, fn) }
	step(func(q db.Queries) error { return q.Beat("node") })
	step(func(q db.Queries) error { _, err := q.ListHeartbeats(); return err })
	step(func(q db.Queries) error { _, err := q.ReapJobs(30000); return err })
	step(func(q db.Queries) error { return q.ForgetNode("node") })
	step(func(q db.Queries) error { _, err := q.HoldJob(1, 1); return err })
	step(func(q db.Queries) error { _, err := q.SaveProgress(db.JobProgress{JobID: 1, Attempt: 1}); return err })
	step(func(q db.Queries) error { _, err := q.FindProgress([]int64{1, 2}); return err })
	step(func(q db.Queries) error { _, err := q.ListJobsOf("video:v", 9, 5); return err })
	step(func(q db.Queries) error { _, err := q.ListJobsOf("video:v", 0, 5); return err })
	step(func(q db.Queries) error { return ignoreNotFound(q.SetJobPriority(1, 1)) })
	step(func(q db.Queries) error { return q.Uncancel(1) })
	step(func(q db.Queries) error { _, err := q.CountJobs(); return err })
	step(func(q db.Queries) error { return q.Emit(db.Event{Type: "t", Key: "k", Data: "{}"}) })
	step(func(q db.Queries) error { _, err := q.ListUnsent(0, 5); return err })
	step(func(q db.Queries) error { return q.MarkSent([]int64{1, 2}, 5) })
	step(func(q db.Queries) error { _, err := q.DeleteSent(6, 5); return err })
	hook := db.Webhook{ID: "w", OwnerID: u1, Scope: db.ScopeOwn, URL: "https://h", Events: []string{"t"}, Active: true}
	step(func(q db.Queries) error { return q.CreateWebhook(hook) })
	step(func(q db.Queries) error { return q.SaveWebhook(hook) })
	step(func(q db.Queries) error { _, err := q.FindWebhook("w"); return err })
	step(func(q db.Queries) error { _, err := q.ListWebhooks(u1, "", 5); return err })
	step(func(q db.Queries) error { _, err := q.CountWebhooks(u1); return err })
	step(func(q db.Queries) error { _, err := q.HooksFor(u1, "t"); return err })
	delivery := db.Delivery{ID: "d", WebhookID: "w", EventID: "e", State: db.DeliveryWaiting}
	step(func(q db.Queries) error { _, err := q.CreateDelivery(delivery); return err })
	step(func(q db.Queries) error { _, err := q.CreateDelivery(delivery); return err })
	step(func(q db.Queries) error { _, err := q.FindDelivery("d"); return err })
	step(func(q db.Queries) error { return q.SaveDelivery(delivery) })
	step(func(q db.Queries) error { _, err := q.ListDeliveries("w", "", 5); return err })
	step(func(q db.Queries) error { _, err := q.WaitsBefore(delivery, 0); return err })
	step(func(q db.Queries) error { return q.TrimDeliveries("w", 0) })
	step(func(q db.Queries) error { _, err := q.DeleteDeliveries(9, 5); return err })
	step(func(q db.Queries) error { return q.DeleteWebhook("w") })
	return steps
}
