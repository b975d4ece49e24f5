package transfer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/pgtest"
	"mediad/store/db/transfer"
	"mediad/store/db/transfer/transfertest"
)

// someJobs are rows of the job queue, whose types differ between the engines as far as they can.
const someJobs = `INSERT INTO river_job (state, kind, max_attempts, attempt, attempted_at, created_at, finalized_at, args, attempted_by, errors, metadata, tags, unique_key, unique_states) VALUES
		('running', 'kind', 9, 2, '2026-03-01 12:00:00.123456+00', '2026-03-01 11:59:59.1+00', NULL, '{"b": [1, 2.50, "x<y"], "a": {"z": null}, "n": 12345678901234567890}',
			'{"node 1",b}', ARRAY['{"at": "now", "error": "ü"}', '{}']::jsonb[], '{"x": 1}', '{a,"b c"}', '\x00ff', B'10000101'),
		('completed', 'kind', 9, 0, NULL, '2026-03-01 00:00:00+00', '2026-03-01 00:00:01+00', '{}', NULL, NULL, '{}', '{}', NULL, NULL),
		('available', 'kind', 9, 0, NULL, '1970-01-01 00:00:00.000001+00', NULL, '{}', '{}', '{}', '{}', '{}', '\x', B'00000000');
	INSERT INTO river_queue (name, metadata, updated_at) VALUES ('b', '{}', now()), ('B', '[1]', now()), ('a', '"text"', now()), ('ä', '{}', now())`

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
	exec(o, someJobs)
	exec(o, "DELETE FROM river_job WHERE id = 2; SELECT nextval('river_job_id_seq')") // 4 was given, and is gone
	second, at := transfertest.OpenEmpty(t, db.SQLite)
	_, err := transfer.Load(t.Context(), transfertest.Snapshot(t, first), second, options(t, first))
	require.NoError(t, err)
	var kind, created string
	row := transfertest.Raw(t, at).QueryRowContext(t.Context(), `SELECT typeof(args), CAST(created_at AS TEXT) FROM river_job
		WHERE id = 1 AND unique_states = 133 AND args ->> '$.b[2]' = 'x<y' AND tags ->> '$[1]' = 'b c'`)
	require.NoError(t, row.Scan(&kind, &created))
	require.Equal(t, "blob", kind)
	require.Equal(t, "2026-03-01 11:59:59.1", created)

	third, to := transfertest.OpenEmpty(t, db.PostgreSQL)
	_, err = transfer.Load(t.Context(), transfertest.Snapshot(t, second), third, options(t, second))
	require.NoError(t, err)
	transfertest.Equal(t, first, third)
	for _, o := range []db.Options{at, to} {
		args := "'{}'"
		if o.URL == "" {
			args = "jsonb('{}')"
		}
		var id int64
		insert := "INSERT INTO river_job (args, kind, max_attempts) VALUES (" + args + ", 'kind', 9) RETURNING id"
		require.NoError(t, transfertest.Raw(t, o).QueryRowContext(t.Context(), insert).Scan(&id))
		require.EqualValues(t, 5, id, "numbers that were given once do not come back")
	}
}
