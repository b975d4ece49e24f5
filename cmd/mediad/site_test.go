package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAllThatIsSealedIsSealedAnew: an operator is told when a former master key is needed no more, and drops it then.
func TestAllThatIsSealedIsSealedAnew(t *testing.T) {
	s, err := openTestSite([]string{"MEDIAD_DATA_DIR=" + t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(s.close)
	rows, err := s.db.JobPool().QueryContext(t.Context(), `SELECT t.name || '.' || c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c
		WHERE t.type = 'table' AND (c.name LIKE '%\_enc' ESCAPE '\' OR c.name = 'sealed')`)
	require.NoError(t, err)
	defer rows.Close()
	var want []string
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		if name != "idempotency.answer_enc" { // it lives for a day
			want = append(want, name)
		}
	}
	require.NoError(t, rows.Err())
	var got []string
	for _, c := range sealedColumns(s.accounts) {
		got = append(got, c.Table+"."+c.Column)
	}
	require.ElementsMatch(t, want, got)
}
