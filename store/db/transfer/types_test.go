package transfer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/pgtest"
	"mediad/store/db/transfer"
	"mediad/store/db/transfer/transfertest"
)

// The tables of the job queue as it makes them itself, where migrations have not made them yet: what is stored in them differs between the
// engines as far as it can.
const (
	postgresJobs = `CREATE TYPE river_job_state AS ENUM ('available', 'completed', 'running');
		CREATE TABLE river_job (id bigserial PRIMARY KEY, state river_job_state NOT NULL DEFAULT 'available', attempt smallint NOT NULL DEFAULT 0, attempted_at timestamptz,
			created_at timestamptz NOT NULL DEFAULT now(), args jsonb NOT NULL, attempted_by text[], errors jsonb[], metadata jsonb NOT NULL DEFAULT '{}',
			queue text NOT NULL DEFAULT 'default', tags varchar(255)[] NOT NULL DEFAULT '{}', unique_key bytea, unique_states bit(8));
		CREATE TABLE river_queue (name text PRIMARY KEY NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), metadata jsonb NOT NULL DEFAULT '{}')`
	sqliteJobs = `CREATE TABLE river_job (id integer PRIMARY KEY AUTOINCREMENT, state text NOT NULL DEFAULT 'available', attempt integer NOT NULL DEFAULT 0, attempted_at timestamp,
			created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, args blob NOT NULL, attempted_by blob, errors blob, metadata blob NOT NULL DEFAULT (jsonb('{}')),
			queue text NOT NULL DEFAULT 'default', tags blob NOT NULL DEFAULT (jsonb('[]')), unique_key blob, unique_states integer);
		CREATE TABLE river_queue (name text PRIMARY KEY NOT NULL, created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, metadata blob NOT NULL DEFAULT (jsonb('{}')))`
	someJobs = `INSERT INTO river_job (state, attempt, attempted_at, created_at, args, attempted_by, errors, metadata, queue, tags, unique_key, unique_states) VALUES
			('running', 2, '2026-03-01 12:00:00.123456+00', '2026-03-01 11:59:59.1+00', '{"b": [1, 2.50, "x<y"], "a": {"z": null}, "n": 12345678901234567890}', '{"node 1",b}',
				ARRAY['{"at": "now", "error": "ü"}', '{}']::jsonb[], '{"x": 1}', 'default', '{a,"b c"}', '\x00ff', B'10000101'),
			('completed', 0, NULL, '2026-03-01 00:00:00+00', '{}', NULL, NULL, '{}', 'b', '{}', NULL, NULL),
			('available', 0, NULL, '1970-01-01 00:00:00.000001+00', '{}', '{}', '{}', '{}', 'a', '{}', '\x', B'00000000');
		INSERT INTO river_queue (name, metadata) VALUES ('b', '{}'), ('B', '[1]'), ('a', '"text"'), ('ä', '{}')`
)

func TestTypesThatDiffer(t *testing.T) {
	if !pgtest.Installed(t) {
		t.Skip("PostgreSQL is not installed: run deploy/deps.sh test")
	}
	exec := func(o db.Options, statement string) {
		t.Helper()
		_, err := transfertest.Raw(t, o).ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	o := onPostgres.Place(t, db.Options{})
	first := onPostgres.OpenWith(t, o)
	if _, made := transfertest.Snapshot(t, first).Schema().Table("river_job"); made {
		t.Skip("migrations make these tables: TestEveryTableThereAndBack has them")
	}
	exec(o, postgresJobs)
	exec(o, someJobs)
	exec(o, "DELETE FROM river_job WHERE id = 2; SELECT nextval('river_job_id_seq')") // 4 was given, and is gone
	second, at := transfertest.OpenEmpty(t, db.SQLite)
	exec(at, sqliteJobs)
	_, err := transfer.Load(t.Context(), transfertest.Snapshot(t, first), second, options(t, first))
	require.NoError(t, err)
	var args, kind, created string
	row := transfertest.Raw(t, at).QueryRowContext(t.Context(), "SELECT json(args), typeof(args), CAST(created_at AS TEXT) FROM river_job WHERE id = 1 AND unique_states = 133 AND args ->> '$.b[2]' = 'x<y'")
	require.NoError(t, row.Scan(&args, &kind, &created))
	require.Equal(t, "blob", kind)
	require.Equal(t, "2026-03-01 11:59:59.1", created)

	third, to := transfertest.OpenEmpty(t, db.PostgreSQL)
	exec(to, postgresJobs)
	_, err = transfer.Load(t.Context(), transfertest.Snapshot(t, second), third, options(t, second))
	require.NoError(t, err)
	transfertest.Equal(t, first, third)
	for _, o := range []db.Options{at, to} {
		args := "'{}'"
		if o.URL == "" {
			args = "jsonb('{}')"
		}
		var id int64
		require.NoError(t, transfertest.Raw(t, o).QueryRowContext(t.Context(), "INSERT INTO river_job (args) VALUES ("+args+") RETURNING id").Scan(&id))
		require.EqualValues(t, 5, id, "numbers that were given once do not come back")
	}
}
