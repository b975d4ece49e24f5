package main

import (
	"context"
	"time"

	"mediad/api"
	"mediad/internal/metrics"
	"mediad/store/db"
)

// observeRequest tells the metrics of one answer of the API.
func (n *node) observeRequest(r api.Request) {
	n.metrics.APIRequest(r.Route, r.Method, r.Status, r.Took)
	n.metrics.User(r.UserID)
	if r.Status >= 400 {
		n.metrics.Problem(r.Code)
	}
}

// databaseState is what the metrics show of the database.
func (n *node) databaseState() metrics.DatabaseState {
	pool := n.site.db.Pool()
	s := metrics.DatabaseState{InUse: pool.InUse, Idle: pool.Idle, Waits: pool.Waits, Lag: -1}
	for _, replica := range n.site.db.Replicas() {
		s.Lag = max(s.Lag, replica.Behind)
	}
	return s
}

// jobsTimeout bounds the count of jobs: who scrapes waits for it.
const jobsTimeout = 2 * time.Second

// jobCounts is what the metrics show of jobs.
func (n *node) jobCounts() ([]metrics.JobCount, time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), jobsTimeout)
	defer cancel()
	found, oldest, err := n.site.jobs.Counts(ctx)
	counts := make([]metrics.JobCount, len(found))
	for i, c := range found {
		counts[i] = metrics.JobCount{Kind: c.Kind, State: string(c.State), Count: c.Count}
	}
	return counts, oldest, err
}

// usersEvery is how often users of the longer windows are counted, and usersTimeout how long that may take.
const (
	usersEvery   = 10 * time.Minute
	usersTimeout = time.Minute
)

// countUsers counts, until ctx ends, who was here in the last day and in the last 30.
func (n *node) countUsers(ctx context.Context) error {
	tick := time.NewTicker(usersEvery)
	defer tick.Stop()
	for {
		if err := n.countUsersOnce(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("active users not counted", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (n *node) countUsersOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, usersTimeout)
	defer cancel()
	q, now := n.site.db.ReadReplica(ctx), n.now()
	for window, length := range map[string]time.Duration{"1d": 24 * time.Hour, "30d": 30 * 24 * time.Hour} {
		seen := map[string]struct{}{}
		if err := q.EachSeen(db.At(now.Add(-length)), func(user string) { seen[user] = struct{}{} }); err != nil {
			return err
		}
		n.metrics.ActiveUsers(window, len(seen))
	}
	return nil
}
