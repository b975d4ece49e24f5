package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// The tables river_* are River's, and store/river reads and writes them by River. Here is what River does not do.

// JobProgress is a row of job_progress.
type JobProgress struct {
	JobID     int64 `gorm:"primaryKey;autoIncrement:false"`
	Subject   string
	Attempt   int
	Percent   int
	EtaMS     *int64   `gorm:"column:eta_ms"`
	LogTail   []string `gorm:"serializer:json"`
	UpdatedAt Millis   `gorm:"autoUpdateTime:false"`
}

// TableName implements gorm's Tabler.
func (JobProgress) TableName() string { return "job_progress" }

// dialect picks the text for the engine. SQL of River's tables differs in times, arrays and JSON.
func (q Queries) dialect(sqlite, postgres string) string {
	if q.g.Name() == string(PostgreSQL) {
		return postgres
	}
	return sqlite
}

// clock is now in unix milliseconds by the database's clock: nodes have one each, and leases are held against one.
func (q Queries) clock() string {
	return q.dialect("CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER)", "(extract(epoch FROM statement_timestamp()) * 1000)::bigint")
}

// Beat renews a node's heartbeat.
func (q Queries) Beat(node string) error {
	return wrap("beat", q.g.Exec("INSERT INTO node_heartbeats (node, started_at, beat_at) VALUES (?, "+q.clock()+", "+q.clock()+
		") ON CONFLICT (node) DO UPDATE SET beat_at = excluded.beat_at", node).Error)
}

// ForgetNode deletes a node's heartbeat.
func (q Queries) ForgetNode(node string) error {
	return wrap("forget node", q.g.Exec("DELETE FROM node_heartbeats WHERE node = ?", node).Error)
}

// ForgetNodes deletes all heartbeats, where whoever they are of is gone.
func (q Queries) ForgetNodes() error {
	return wrap("forget nodes", q.g.Exec("DELETE FROM node_heartbeats").Error)
}

// Heartbeat is a row of node_heartbeats.
type Heartbeat struct {
	Node      string
	StartedAt Millis
	BeatAt    Millis
}

// maxNodes bounds how many are read: a site has a few.
const maxNodes = 1000

// ListHeartbeats lists the nodes that work, or did until lately.
func (q Queries) ListHeartbeats() ([]Heartbeat, error) {
	var found []Heartbeat
	err := q.g.Table("node_heartbeats").Where("node > ''").Order("node").Limit(maxNodes).Find(&found).Error
	return found, wrap("list heartbeats", err)
}

// ReapedJob was taken from a node that is silent.
type ReapedJob struct {
	ID      int64
	Kind    string
	Queue   string
	Attempt int
	State   string // available, cancelled or discarded
}

// ReapJobs takes the running jobs from nodes whose last heartbeat is older than that, in milliseconds, or that have none: to be run
// again, or over where no attempt is left or it was to be cancelled. The heartbeats of such nodes are deleted.
func (q Queries) ReapJobs(silent int64) ([]ReapedJob, error) {
	const text = "[node_lost] the node that ran it fell silent"
	alive := "beat_at > " + q.clock() + " - ?"
	var reaped []ReapedJob
	err := q.g.Raw(q.dialect(`UPDATE river_job SET
		state = CASE WHEN json_extract(metadata, '$.cancel_attempted_at') IS NOT NULL THEN 'cancelled'
			WHEN attempt >= max_attempts THEN 'discarded' ELSE 'available' END,
		finalized_at = CASE WHEN json_extract(metadata, '$.cancel_attempted_at') IS NOT NULL OR attempt >= max_attempts
			THEN datetime('now', 'subsec') END,
		scheduled_at = datetime('now', 'subsec'),
		errors = jsonb(json_insert(json(coalesce(errors, jsonb('[]'))), '$[#]',
			json_object('at', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 'attempt', attempt, 'error', ?, 'trace', '')))
		WHERE state = 'running' AND NOT EXISTS (SELECT 1 FROM node_heartbeats h
			WHERE h.node = json_extract(attempted_by, '$[#-1]') AND h.`+alive+`)
		RETURNING id, kind, queue, attempt, state`, `UPDATE river_job SET
		state = (CASE WHEN metadata -> 'cancel_attempted_at' IS NOT NULL THEN 'cancelled'
			WHEN attempt >= max_attempts THEN 'discarded' ELSE 'available' END)::river_job_state,
		finalized_at = CASE WHEN metadata -> 'cancel_attempted_at' IS NOT NULL OR attempt >= max_attempts THEN now() END,
		scheduled_at = now(),
		errors = array_append(errors, jsonb_build_object('at', now(), 'attempt', attempt, 'error', ?::text, 'trace', ''))
		WHERE state = 'running' AND NOT EXISTS (SELECT 1 FROM node_heartbeats h
			WHERE h.node = attempted_by[array_upper(attempted_by, 1)] AND h.`+alive+`)
		RETURNING id, kind, queue, attempt, state`), text, silent).Scan(&reaped).Error
	if err != nil {
		return nil, wrap("reap jobs", err)
	}
	return reaped, wrap("reap nodes", q.g.Exec("DELETE FROM node_heartbeats WHERE beat_at <= "+q.clock()+" - ?", silent).Error)
}

// HoldJob says whether that attempt of a job is the one that runs. In a transaction it stays so until the end of it.
func (q Queries) HoldJob(id int64, attempt int) (bool, error) {
	var n int
	err := q.g.Raw("SELECT 1 FROM river_job WHERE id = ? AND attempt = ? AND state = 'running'"+q.dialect("", " FOR UPDATE"), id, attempt).
		Scan(&n).Error
	return n == 1, wrap("hold job", err)
}

// SetSubject notes what a new job is about.
func (q Queries) SetSubject(job int64, subject string, now Millis) error {
	return wrap("set subject", q.g.Create(&JobProgress{JobID: job, Subject: subject, LogTail: []string{}, UpdatedAt: now}).Error)
}

// SaveProgress stores what an attempt reports, and says whether the attempt still counts.
func (q Queries) SaveProgress(p JobProgress) (bool, error) {
	lines, err := json.Marshal(p.LogTail)
	if err != nil {
		return false, fmt.Errorf("db: save progress: %w", err)
	}
	// What the values of a SELECT are PostgreSQL has to be told.
	result := q.g.Exec(q.dialect(`INSERT INTO job_progress (job_id, subject, attempt, percent, eta_ms, log_tail, updated_at)
		SELECT id, '', attempt, ?, ?, ?, ? FROM river_job WHERE id = ? AND attempt = ? AND state = 'running'`,
		`INSERT INTO job_progress (job_id, subject, attempt, percent, eta_ms, log_tail, updated_at)
		SELECT id, '', attempt, ?::bigint, ?::bigint, ?::text, ?::bigint FROM river_job WHERE id = ? AND attempt = ? AND state = 'running'`)+
		` ON CONFLICT (job_id) DO UPDATE SET attempt = excluded.attempt, percent = excluded.percent, eta_ms = excluded.eta_ms,
		log_tail = excluded.log_tail, updated_at = excluded.updated_at`, p.Percent, p.EtaMS, string(lines), p.UpdatedAt, p.JobID, p.Attempt)
	return result.RowsAffected == 1, wrap("save progress", result.Error)
}

// FindProgress finds what is known of these jobs.
func (q Queries) FindProgress(jobs []int64) ([]JobProgress, error) {
	var found []JobProgress
	err := q.g.Where("job_id IN ?", jobs).Limit(len(jobs)).Find(&found).Error
	return found, wrap("find progress", err)
}

// ListJobsOf lists the newest jobs about a subject, with ids smaller than before (0: from the newest).
func (q Queries) ListJobsOf(subject string, before int64, limit int) ([]int64, error) {
	found := []int64{}
	g := q.g.Model(&JobProgress{}).Where("subject = ?", subject)
	if before > 0 {
		g = g.Where("job_id < ?", before)
	}
	err := g.Order("job_id DESC").Limit(limit).Pluck("job_id", &found).Error
	return found, wrap("list jobs of", err)
}

// SetJobPriority changes the priority of a job that waits.
func (q Queries) SetJobPriority(id int64, priority int) error {
	return one("set job priority", q.g.Exec(`UPDATE river_job SET priority = ? WHERE id = ?
		AND state IN ('available', 'pending', 'retryable', 'scheduled')`, priority, id))
}

// Uncancel takes back that somebody asked to cancel a job.
func (q Queries) Uncancel(id int64) error {
	return wrap("uncancel job", q.g.Exec(q.dialect("UPDATE river_job SET metadata = jsonb_remove(metadata, '$.cancel_attempted_at') WHERE id = ?",
		"UPDATE river_job SET metadata = metadata - 'cancel_attempted_at' WHERE id = ?"), id).Error)
}

// JobCount is how many jobs of a kind are in a state, which is River's word.
type JobCount struct {
	Kind  string
	State string
	Count int64
	// Oldest is when the first of those that may run now was due; 0 for other states.
	Oldest Millis
}

// CountJobs counts the jobs that are not over, and those that failed after all attempts. Each kind has a queue of its name.
func (q Queries) CountJobs() ([]JobCount, error) {
	var found []JobCount
	err := q.g.Raw(q.dialect(`SELECT queue AS kind, state, count(*) AS count,
		CASE state WHEN 'available' THEN CAST(unixepoch(min(scheduled_at), 'subsec') * 1000 AS INTEGER) ELSE 0 END AS oldest
		FROM river_job WHERE state IN ('available', 'discarded', 'retryable', 'running', 'scheduled') GROUP BY state, queue LIMIT 1000`,
		`SELECT queue AS kind, state, count(*) AS count,
		CASE state WHEN 'available' THEN (extract(epoch FROM min(scheduled_at)) * 1000)::bigint ELSE 0 END AS oldest
		FROM river_job WHERE state IN ('available', 'discarded', 'retryable', 'running', 'scheduled') GROUP BY state, queue LIMIT 1000`)).Scan(&found).Error
	return found, wrap("count jobs", err)
}

// JobPool is the pool of writers, for River alone: on SQLite it is the one connection that writes, so that River's statements queue
// with ours.
func (d *DB) JobPool() *sql.DB { return d.writes }

// ListenPool makes a pool of one connection to wait for news of PostgreSQL on. The caller closes it. nil on SQLite.
func (d *DB) ListenPool(ctx context.Context) (*pgxpool.Pool, error) {
	if d.engine != PostgreSQL {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	c, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, fmt.Errorf("db: listen: %w", err)
	}
	c.ConnConfig, c.MinConns, c.MaxConns = d.url.primary(), 0, 1
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("db: listen: %w", err)
	}
	return pool, nil
}
