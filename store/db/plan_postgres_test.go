package db_test

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/store/db"
	"mediad/store/db/dbtest"
	"mediad/store/db/pgtest"
)

// fillers put 100 000 rows into each table that grows: 2 000 users, of whom few are admins, with streams and what came of them.
var fillers = []string{
	`INSERT INTO users SELECT md5('u' || n), 'user' || n, 'User', 'h', CASE WHEN n % 1000 = 0 THEN 'admin' WHEN n % 1000 = 1 THEN 'moderator' WHEN n % 3 = 0 THEN 'streamer' ELSE 'viewer' END, FALSE, n, n, 1
		FROM generate_series(1, 100000) n`,
	`INSERT INTO sessions SELECT md5('l' || n), md5('u' || (n % 2000 + 1)), 1, 'body', '', CASE WHEN n % 100 = 0 THEN 'x' ELSE '' END, '', n, n, n, NULL, '' FROM generate_series(1, 100000) n`,
	`INSERT INTO refresh_tokens SELECT md5('r' || n), md5('u' || (n % 2000 + 1)), md5('l' || n), 0, md5('h' || n), NULL, n, n FROM generate_series(1, 100000) n`,
	`INSERT INTO api_tokens SELECT md5('t' || n), md5('u' || (n % 2000 + 1)), '', md5('h' || n), 'wxyz', '[]', NULL, NULL, n FROM generate_series(1, 100000) n`,
	`INSERT INTO totp SELECT md5('u' || n), 'x', n, 0, n FROM generate_series(1, 100000) n`,
	`INSERT INTO recovery_codes SELECT md5('c' || n), md5('u' || (n % 2000 + 1)), md5('h' || n), NULL, n FROM generate_series(1, 100000) n`,
	`INSERT INTO one_time_codes SELECT md5('h' || n), md5('u' || (n % 2000 + 1)), 'password_reset', '', NULL, n, n FROM generate_series(1, 100000) n`,
	`INSERT INTO invites SELECT md5('i' || n), md5('h' || n), 'wxyz', 1, NULL, NULL, n FROM generate_series(1, 100000) n`,
	`INSERT INTO signing_keys SELECT md5('k' || n), 'x', 'x', n, n, n FROM generate_series(1, 100000) n`,
	`INSERT INTO login_failures SELECT md5('f' || n), 1, n, n FROM generate_series(1, 100000) n`,
	`INSERT INTO audit_heads SELECT 'node' || n % 10, 'day' || n, 1, 'x', CASE WHEN n % 1000 = 0 THEN '' ELSE 'x' END FROM generate_series(1, 100000) n`,
	`INSERT INTO audit_log SELECT md5('a' || n), n, 'node' || n % 10, 'day' || n / 1000, n, md5('u' || (n % 2000 + 1)), 'viewer', 'session', '', '', 'action' || n % 50, 'user', md5('u' || n), '', '', '', 'ok', '', '' FROM generate_series(1, 100000) n`,
	`INSERT INTO settings SELECT 'key' || n, 'x', TRUE, '', n, 1 FROM generate_series(1, 100000) n`,
	`INSERT INTO categories SELECT md5('c' || n), 'category' || n, 'x', n, CASE WHEN n % 100 = 0 THEN n END, n, n FROM generate_series(1, 100000) n`,
	`INSERT INTO server_keys SELECT md5('k' || n), '', 'x', 'wxyz', md5('u' || n), NULL, n FROM generate_series(1, 100000) n`,
	`INSERT INTO nonces SELECT md5('k' || n % 100), md5('n' || n), n FROM generate_series(1, 100000) n`,
	`INSERT INTO idempotency SELECT md5('u' || (n % 2000 + 1)), 'createStream', md5('i' || n), 'x', 'x', n, 'x', n FROM generate_series(1, 100000) n`,
	`INSERT INTO river_job (id, state, max_attempts, args, kind, queue, attempt, attempted_by, finalized_at) SELECT n,
		(CASE WHEN n % 1000 = 0 THEN 'running' WHEN n % 1000 < 5 THEN 'available' ELSE 'completed' END)::river_job_state, 10, '{}', 'kind' || n % 20, 'kind' || n % 20,
		1, ARRAY['node' || n % 5], CASE WHEN n % 1000 >= 5 THEN now() END FROM generate_series(1, 100000) n`,
	`INSERT INTO alerts SELECT md5('a' || n), md5('f' || n), 'Rule' || n % 20, 'warning', 's', '{}', 'node' || n % 5, CASE WHEN n % 1000 = 0 THEN 'firing' ELSE 'resolved' END,
		CASE WHEN n % 1000 = 0 THEN '' ELSE 'cleared' END, n / 7.0, n, CASE WHEN n % 1000 > 0 THEN n END, NULL, '' FROM generate_series(1, 100000) n`,
	`INSERT INTO nodes SELECT 'node' || n, 'run', 'place', 'host', n, CASE WHEN n % 1000 = 0 THEN n ELSE 4102444800000 END FROM generate_series(1, 100000) n`,
	`INSERT INTO river_queue (name) SELECT 'queue' || n FROM generate_series(1, 100000) n`,
	`INSERT INTO node_heartbeats SELECT 'node' || n, n, n FROM generate_series(1, 100000) n`,
	`INSERT INTO job_progress SELECT n, 'video:' || md5('v' || n / 5), 1, 50, NULL, '[]', n FROM generate_series(1, 100000) n`,
	`INSERT INTO outbox (id, type, key, owner_id, actor_id, data, occurred_at, sent_at) SELECT md5('o' || n), 'stream.online', 'stream:' || n % 3000,
		md5('u' || n % 2000), '', '{}', n, CASE WHEN n % 1000 > 0 THEN n END FROM generate_series(1, 100000) n`,
	`INSERT INTO webhooks SELECT md5('w' || n), md5('u' || n), CASE WHEN n % 10000 = 0 THEN 'site' ELSE 'own' END, 'https://h', '["t"]', TRUE, 'x', 'wxyz', '',
		NULL, NULL, NULL, n, n FROM generate_series(1, 100000) n`,
	`INSERT INTO deliveries SELECT md5('d' || n), md5('w' || n % 1000), md5('o' || n), 't', 'stream:' || n % 3000, '{}', CASE WHEN n % 100 = 0 THEN 'waiting' ELSE 'delivered' END,
		n % 100, 200, '', 5, '', NULL, n, n FROM generate_series(1, 100000) n`,
	`INSERT INTO follows SELECT md5('u' || n), md5('u' || (n % 2000 + 1)), 'all', n FROM generate_series(1, 100000) n`,
	`INSERT INTO blocks SELECT md5('u' || n), md5('u' || (n % 2000 + 1)), n FROM generate_series(1, 100000) n`,
	`INSERT INTO channel_mods SELECT md5('u' || n), md5('u' || (n % 2000 + 1)), n FROM generate_series(1, 100000) n`,
	`INSERT INTO parked_follows SELECT md5('u' || n), md5('u' || (n % 2000 + 1)), 'all', n FROM generate_series(1, 100000) n`,
	`INSERT INTO doomed_objects SELECT md5('o' || n), n FROM generate_series(1, 100000) n`,
	`INSERT INTO exports SELECT md5('x' || n), md5('u' || (n % 2000 + 1)), 'ready', 'k', 1, n, n, n FROM generate_series(1, 100000) n`,
	`INSERT INTO streams SELECT md5('s' || n), 'Stream' || n, 'stream' || n, md5('u' || (n % 2000 + 1)), 't', '', 'category' || n % 50, '',
		(ARRAY['public', 'public', 'public', 'unlisted', 'followers', 'private'])[n % 6 + 1], FALSE, 'low', TRUE, 'public', 0, 60, NULL,
		CASE WHEN n % 500 = 0 THEN n END, '', n, n, 1 FROM generate_series(1, 100000) n`,
	`INSERT INTO stream_tags SELECT 'tag' || n % 300, md5('s' || n) FROM generate_series(1, 100000) n`,
	`INSERT INTO stream_keys SELECT md5('k' || n), md5('s' || (n % 50000 + 1)), '', md5('h' || n), 'wxyz', NULL, CASE WHEN n % 4 = 0 THEN n END, NULL, '', n
		FROM generate_series(1, 100000) n`,
	`INSERT INTO disconnects SELECT md5('d' || n), md5('s' || (n % 2000 + 1)), n, 'rtmp', '', 'replaced', '' FROM generate_series(1, 100000) n`,
	`INSERT INTO stream_sessions SELECT md5('e' || n), md5('s' || (n % 3000 + 1)), n, CASE WHEN n % 1000 > 0 THEN n + 5 END, 'x', '[]', n, 0, 0, 0, 'node' || n % 5, NULL
		FROM generate_series(1, 100000) n`,
	`INSERT INTO stream_owners SELECT md5('s' || n), 'node' || n % 50, n, '', '', 0, 0, '', 0 FROM generate_series(1, 100000) n`,
	`INSERT INTO segments SELECT md5('e' || (n % 200 + 1)), CASE WHEN n % 2 = 0 THEN 'source' ELSE 'audio' END, n, md5('s' || (n % 200 % 30 + 1)), n / 1000, n * 2000000000::bigint,
		2000000000, 'k', 0, 1000, FALSE, FALSE, TRUE, 2, 0, CASE WHEN n % 100 = 0 THEN 1 ELSE 2 END FROM generate_series(1, 100000) n`,
	`INSERT INTO session_tracks SELECT md5('e' || n), 'source', 1, 'video', 'h264', ''::bytea, ''::bytea FROM generate_series(1, 100000) n`,
	`INSERT INTO recordings SELECT md5('e' || n), 0, 9223372036854775807, md5('s' || (n % 3000 + 1)), CASE WHEN n % 1000 = 0 THEN 'ended' WHEN n % 1000 = 1 THEN 'running' ELSE 'made' END, 1, FALSE, n, 'node' || n % 5
		FROM generate_series(1, 100000) n`,
	`INSERT INTO videos SELECT md5('v' || n), CASE WHEN n % 10 = 0 THEN 'clip' ELSE 'replay' END, md5('u' || (n % 2000 + 1)), md5('s' || (n % 3000 + 1)), md5('e' || n), NULL, NULL,
		't', '', CASE WHEN n % 3 = 0 THEN '' ELSE 'category' || n % 50 END, '', (ARRAY['public', 'public', 'unlisted', 'private'])[n % 4 + 1], FALSE, CASE WHEN n % 1000 = 0 THEN 'processing' ELSE 'ready' END, 1, 1, 1, 1, n,
		CASE WHEN n % 50 = 0 THEN n END, n, n, 1, CASE WHEN n % 1000 = 7 THEN '' ELSE 'made' END FROM generate_series(1, 100000) n`,
	`UPDATE videos SET channel_id = md5('u' || (length(id) + 5)) WHERE kind = 'clip' AND id < '1'`,
	`INSERT INTO stream_forwards SELECT md5('w' || n), md5('s' || n % 50000), 'x', n FROM generate_series(1, 100000) n`,
	`INSERT INTO stream_markers SELECT md5('m' || n), md5('e' || n % 3000), md5('s' || n % 3000), md5('u' || (n % 2000 + 1)), 'x', n FROM generate_series(1, 100000) n`,
	`INSERT INTO plays SELECT md5('y' || n), 'video', md5('v' || n % 3000), CASE WHEN n % 2 = 0 THEN md5('u' || (n % 2000 + 1)) END, md5('w' || n % 9000), 'p' || n % 4000,
		CASE WHEN n % 3 = 0 THEN '' ELSE md5('e' || n % 3000) END, '', '', 'playing', 1, 1, 0, 0, 0, NULL, NULL, '', 0, TRUE, n, n FROM generate_series(1, 100000) n`,
	`INSERT INTO views SELECT md5('v' || n % 3000), md5('w' || n), n / 1000, CASE WHEN n % 4 = 0 THEN 'p' || n % 4000 ELSE '' END, n FROM generate_series(1, 100000) n`,
	`INSERT INTO watch_history SELECT md5('u' || (n % 2000 + 1)), md5('v' || n), 1, n FROM generate_series(1, 100000) n`,
	`INSERT INTO watch_later SELECT md5('u' || (n % 2000 + 1)), md5('v' || n), n FROM generate_series(1, 100000) n`,
}

// TestEveryStatementUsesAnIndexOnPostgreSQL is the twin of that on SQLite, with 100 000 rows in each table: PostgreSQL plans by
// what is there.
func TestEveryStatementUsesAnIndexOnPostgreSQL(t *testing.T) {
	if !pgtest.Installed(t) {
		t.Skip("PostgreSQL is not installed: run deploy/deps.sh test")
	}
	if testing.Short() {
		t.Skip("half a minute of filling tables; the short form plans on SQLite")
	}
	t.Parallel()
	var statements dbtest.Statements
	o := onPostgres.Place(t, db.Options{Observe: statements.Observe})
	d := onPostgres.OpenWith(t, o)
	pool, err := sql.Open("pgx", o.URL)
	require.NoError(t, err)
	defer pool.Close()
	raw, err := pool.Conn(t.Context())
	require.NoError(t, err)
	defer raw.Close()
	_, err = raw.ExecContext(t.Context(), "SET session_replication_role = replica") // foreign keys hold, and need not be looked up
	require.NoError(t, err)
	for _, filler := range fillers {
		_, err := raw.ExecContext(t.Context(), filler)
		require.NoError(t, err, filler)
	}
	// Connections of other tests keep VACUUM from marking pages for a moment, and an index alone does only where they are.
	testx.WaitFor(t, "every page to be visible to all", func() bool {
		_, err := raw.ExecContext(t.Context(), "VACUUM ANALYZE")
		require.NoError(t, err)
		var left int
		require.NoError(t, raw.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_class
			WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relallvisible < relpages`).Scan(&left))
		return left == 0
	})
	runEveryStatement(t, d, &statements)
	assert.Empty(t, statements.BadPlans(t.Context(), d))

	for _, statement := range []string{
		"SELECT * FROM streams WHERE title = $1", "SELECT * FROM users ORDER BY display_name", "DELETE FROM segments WHERE gap = $1",
		"SELECT * FROM videos WHERE visibility = $1 ORDER BY published_at LIMIT 5", "SELECT * FROM users ORDER BY id",
	} {
		var wrong dbtest.Statements
		wrong.Observe(statement, 0, nil)
		assert.NotEmpty(t, wrong.BadPlans(t.Context(), d), statement)
	}
}
