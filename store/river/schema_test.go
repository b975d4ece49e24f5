package river_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/dbtest"
	"mediad/store/db/pgtest"
)

// shape asks for all that River's migrations leave: columns, indices, checks, types and functions.
var shape = map[db.Engine]string{
	db.SQLite: `SELECT m.name || ' ' || c.name || ' ' || lower(c.type) || c."notnull" || coalesce(c.dflt_value, '') || c.pk
			FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name LIKE 'river%'
		UNION ALL SELECT sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND name LIKE 'river%' AND sql IS NOT NULL
		UNION ALL SELECT 'checks ' || name || (length(sql) - length(replace(sql, 'CONSTRAINT', ''))) || (sql LIKE '%AUTOINCREMENT%')
			FROM sqlite_master WHERE type = 'table' AND name LIKE 'river%' ORDER BY 1`,
	db.PostgreSQL: `SELECT table_name || ' ' || column_name || ' ' || udt_name || is_nullable || coalesce(column_default, '')
			FROM information_schema.columns WHERE table_name LIKE 'river%'
		UNION ALL SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'river%'
		UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid::regclass::text LIKE 'river%'
		UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname LIKE 'river%'
		UNION ALL SELECT relname || ' ' || relpersistence::text FROM pg_class WHERE relname LIKE 'river%' AND relkind = 'r'
		UNION ALL SELECT enumlabel || ' ' || rank() OVER (ORDER BY enumsortorder) FROM pg_enum ORDER BY 1`,
}

// TestRiverFindsItsSchemaCurrent: our migration leaves what River's own would have left, to the column.
func TestRiverFindsItsSchemaCurrent(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		t.Parallel()
		ours := on.Open(t).JobPool()
		theirs, driver := empty(t, db.Engine(on))
		m, err := rivermigrate.New(driver(ours), nil)
		require.NoError(t, err)
		valid, err := m.Validate(t.Context(), nil)
		require.NoError(t, err)
		require.True(t, valid.OK, "River misses: %v", valid.Messages)

		m, err = rivermigrate.New(driver(theirs), nil)
		require.NoError(t, err)
		_, err = m.Migrate(t.Context(), rivermigrate.DirectionUp, nil)
		require.NoError(t, err)
		want := rows(t, theirs, shape[db.Engine(on)])
		require.Greater(t, len(want), 30)
		assert.ElementsMatch(t, want, rows(t, ours, shape[db.Engine(on)]))
	})
}

func empty(t *testing.T, e db.Engine) (*sql.DB, func(*sql.DB) riverdriver.Driver[*sql.Tx]) {
	t.Helper()
	if e == db.SQLite {
		d, err := db.Open(t.Context(), db.Options{Path: filepath.Join(t.TempDir(), "empty.db")})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, d.Close()) })
		return d.JobPool(), func(p *sql.DB) riverdriver.Driver[*sql.Tx] { return riversqlite.New(p) }
	}
	server, err := pgtest.Shared()
	require.NoError(t, err)
	d, err := db.Open(t.Context(), db.Options{URL: server.Database(t, "river_empty")})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, d.Close()) })
	return d.JobPool(), func(p *sql.DB) riverdriver.Driver[*sql.Tx] { return riverdatabasesql.New(p) }
}

func rows(t *testing.T, pool *sql.DB, question string) (found []string) {
	t.Helper()
	all, err := pool.QueryContext(t.Context(), question)
	require.NoError(t, err)
	defer all.Close()
	for all.Next() {
		var one string
		require.NoError(t, all.Scan(&one))
		found = append(found, plain(one))
	}
	require.NoError(t, all.Err())
	return found
}
