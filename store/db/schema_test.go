package db_test

import (
	"database/sql"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/pgtest"
)

// onlyPostgres are the indices in which the databases differ on purpose. PostgreSQL does not take "x IS NULL" for an equality
// that keeps the order of the columns behind it, so there such a column stands in none with an order.
var onlyPostgres = map[string]string{
	"streams_listed":    "index streams(visibility,id)",
	"streams_category":  "index streams(category,visibility,id)",
	"videos_listed":     "index videos(visibility,state,id) where deleted_at is null",
	"videos_stream":     "index videos(stream_id,id)",
	"videos_owner":      "index videos(owner_id,id)",
	"videos_unfinished": "index videos(kind,created_at) where state = 'processing'",
}

// TestTheSchemasAreTheSame holds what the migrations of both dialects leave against each other: tables, columns, types, NULLs,
// defaults, keys, indices and checks. River's tables are as River wants them on each: a test of store/river sees to that.
func TestTheSchemasAreTheSame(t *testing.T) {
	if !pgtest.Installed(t) {
		t.Skip("PostgreSQL is not installed: run deploy/deps.sh test")
	}
	lite := onSQLite.Open(t)
	o := onPostgres.Place(t, db.Options{})
	files, err := sql.Open("sqlite", "file:"+lite.Where())
	require.NoError(t, err)
	defer files.Close()
	server, err := sql.Open("pgx", o.URL)
	require.NoError(t, err)
	defer server.Close()
	want, got := schemaOfSQLite(t, files), schemaOfPostgres(t, server)
	for name, index := range onlyPostgres {
		assert.Equal(t, index, got["index "+name], name)
		delete(got, "index "+name)
		delete(want, "index "+name)
	}
	for _, what := range slices.Sorted(maps.Keys(want)) {
		assert.Equal(t, want[what], got[what], what)
	}
	for _, what := range slices.Sorted(maps.Keys(got)) {
		assert.Contains(t, want, what)
	}
	assert.Greater(t, len(want), 100)
}

func query(t *testing.T, d *sql.DB, columns int, question string, args ...any) (found [][]string) {
	t.Helper()
	rows, err := d.QueryContext(t.Context(), question, args...)
	require.NoError(t, err, question)
	defer rows.Close()
	for rows.Next() {
		row, into := make([]sql.NullString, columns), make([]any, columns)
		for i := range row {
			into[i] = &row[i]
		}
		require.NoError(t, rows.Scan(into...))
		text := make([]string, columns)
		for i, c := range row {
			text[i] = c.String
		}
		found = append(found, text)
	}
	require.NoError(t, rows.Err())
	return found
}

var literals = regexp.MustCompile(`'[^']*'|\b\d+\b`)

// allowed are the values that a check names.
func allowed(check string) string {
	found := literals.FindAllString(check, -1)
	slices.Sort(found)
	return strings.Join(slices.Compact(found), " ")
}

func schemaOfSQLite(t *testing.T, d *sql.DB) map[string]string {
	schema := map[string]string{}
	types := map[string]string{"TEXT": "text", "INTEGER": "integer", "BLOB": "bytes", "REAL": "float"}
	for _, table := range query(t, d, 2, "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'goose%' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'river%'") {
		name := table[0]
		yesNo := map[string]bool{}
		for _, m := range checks(table[1]) {
			if yesNo[m[0]] = m[1] == "0 1"; !yesNo[m[0]] {
				schema["check "+name+"."+m[0]] = m[1]
			}
		}
		keys := map[string]string{}
		for _, c := range query(t, d, 5, `SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)`, name) {
			kind := types[c[1]]
			if yesNo[c[0]] {
				kind = "boolean"
				c[3] = strings.NewReplacer("0", "false", "1", "true").Replace(c[3])
			}
			schema["column "+name+"."+c[0]] = fmt.Sprintf("%s notnull=%s default=%s", kind, c[2], c[3])
			if c[4] != "0" {
				keys[c[4]] = c[0]
			}
		}
		var key []string
		for _, n := range slices.Sorted(maps.Keys(keys)) {
			key = append(key, keys[n])
		}
		schema["key "+name] = strings.Join(key, ",")
		for _, f := range query(t, d, 3, `SELECT "from", "table", "to" FROM pragma_foreign_key_list(?)`, name) {
			schema["foreign "+name+"."+f[0]] = f[1] + "." + f[2]
		}
		for _, i := range query(t, d, 3, `SELECT l.name, l."unique", m.sql FROM pragma_index_list(?) l JOIN sqlite_master m ON m.name = l.name WHERE l.origin = 'c'`, name) {
			var columns []string
			for _, c := range query(t, d, 1, "SELECT name FROM pragma_index_info(?) ORDER BY seqno", i[0]) {
				columns = append(columns, c[0])
			}
			schema["index "+i[0]] = index(name, i[1] == "1", columns, i[2])
		}
	}
	return schema
}

// checks are the columns with a check, and the values that it names.
func checks(table string) (found [][2]string) {
	for {
		at := strings.Index(table, "CHECK (")
		if at < 0 {
			return found
		}
		rest := table[at+len("CHECK ("):]
		column, _, _ := strings.Cut(rest, " ")
		depth, end := 1, 0
		for end = range rest {
			depth += strings.Count(rest[end:end+1], "(") - strings.Count(rest[end:end+1], ")")
			if depth == 0 {
				break
			}
		}
		found = append(found, [2]string{column, allowed(rest[:end])})
		table = rest[end:]
	}
}

func index(table string, unique bool, columns []string, statement string) string {
	text := fmt.Sprintf("index %s(%s)", table, strings.Join(columns, ","))
	if unique {
		text = "unique " + text
	}
	if _, where, ok := strings.Cut(statement, " WHERE "); ok {
		text += " where " + strings.ToLower(strings.NewReplacer("(", "", ")", "", "::text", "").Replace(where))
	}
	return text
}

func schemaOfPostgres(t *testing.T, d *sql.DB) map[string]string {
	schema := map[string]string{}
	types := map[string]string{"text": "text", "bigint": "integer", "boolean": "boolean", "bytea": "bytes", "double precision": "float"}
	for _, c := range query(t, d, 6, `SELECT table_name, column_name, data_type, CASE is_nullable WHEN 'NO' THEN 1 ELSE 0 END, column_default, collation_name
		FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%' AND table_name NOT LIKE 'river%'`) {
		def := strings.TrimSuffix(c[4], "::text")
		if number, ok := strings.CutSuffix(def, "::bigint"); ok {
			def = strings.Trim(number, "'")
		}
		schema["column "+c[0]+"."+c[1]] = fmt.Sprintf("%s notnull=%s default=%s", types[c[2]], c[3], def)
		if c[2] == "text" {
			assert.Equal(t, "C", c[5], "%s.%s sorts as the server's language does", c[0], c[1])
		}
	}
	const columns = "(SELECT string_agg(a.attname, ',' ORDER BY k.n) FROM unnest(%s) WITH ORDINALITY k(num, n) JOIN pg_attribute a ON a.attrelid = %s AND a.attnum = k.num)"
	for _, c := range query(t, d, 5, "SELECT c.contype::text, r.relname, "+fmt.Sprintf(columns, "c.conkey", "c.conrelid")+", pg_get_constraintdef(c.oid), f.relname || '.' || "+
		fmt.Sprintf(columns, "c.confkey", "c.confrelid")+` FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid LEFT JOIN pg_class f ON f.oid = c.confrelid
		WHERE c.connamespace = 'public'::regnamespace AND r.relname NOT LIKE 'goose%' AND r.relname NOT LIKE 'river%'`) {
		switch c[0] {
		case "p":
			schema["key "+c[1]] = c[2]
		case "f":
			schema["foreign "+c[1]+"."+c[2]] = c[4]
		case "c":
			schema["check "+c[1]+"."+c[2]] = allowed(c[3])
		}
	}
	for _, i := range query(t, d, 5, "SELECT x.relname, r.relname, i.indisunique::int, "+fmt.Sprintf(columns, "i.indkey::int2[]", "i.indrelid")+`, pg_get_indexdef(i.indexrelid)
		FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class r ON r.oid = i.indrelid
		WHERE NOT i.indisprimary AND x.relnamespace = 'public'::regnamespace AND r.relname NOT LIKE 'goose%' AND r.relname NOT LIKE 'river%'`) {
		schema["index "+i[0]] = index(i[1], i[2] == "1", strings.Split(i[3], ","), i[4])
	}
	return schema
}
