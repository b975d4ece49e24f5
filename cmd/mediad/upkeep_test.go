package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/configs"
	"mediad/internal/testx"
	"mediad/store/backup"
	"mediad/store/db"
	"mediad/store/db/pgtest"
	"mediad/store/db/transfer"
	"mediad/store/db/transfer/transfertest"
)

// shownJob is a job as admins see it.
type shownJob struct {
	ID, Kind, State string
	LogTail         []string `json:"log_tail"`
}

// done asks for a job by POST and waits for its end.
func (s *serving) done(token, path string) shownJob {
	s.t.Helper()
	var j shownJob
	require.NoError(s.t, json.Unmarshal(s.post(path, token, "", http.StatusAccepted), &j))
	testx.WaitFor(s.t, "the job to be over", func() bool {
		r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.http+"/api/v1/admin/jobs/"+j.ID, http.NoBody)
		require.NoError(s.t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := s.client.Do(r)
		require.NoError(s.t, err)
		defer answer.Body.Close()
		require.NoError(s.t, json.NewDecoder(answer.Body).Decode(&j))
		return j.State != "waiting" && j.State != "running"
	})
	require.Equal(s.t, "done", j.State, j.LogTail)
	return j
}

// TestABackupOverTheAPIIsTheSite: it can be restored, and has the rows of the site that made it. A sweep beside it deletes what is due on the disk and in the rows.
func TestABackupOverTheAPIIsTheSite(t *testing.T) {
	for _, engine := range []db.Engine{db.SQLite, db.PostgreSQL} {
		t.Run(string(engine), func(t *testing.T) {
			dir := t.TempDir()
			if engine == db.PostgreSQL && !pgtest.Installed(t) {
				t.Skip("PostgreSQL is not installed: run deploy/deps.sh test")
			}
			o := transfertest.Empty(t, engine)
			environ := []string{"MEDIAD_ADMIN_USERNAME=boss", "MEDIAD_ADMIN_PASSWORD=correct horse", "MEDIAD_LIMITS_SCALE=0"}
			if engine == db.PostgreSQL {
				environ = append(environ, "MEDIAD_DATABASE_URL="+o.URL)
			}
			s := serve(t, filepath.Join(dir, "data"), environ...)
			token := s.login("boss", "correct horse")
			s.post("/api/v1/streams", token, `{"title":"Second","slug":"second"}`, http.StatusCreated)

			swept := s.done(token, "/api/v1/admin/sweep")
			require.Contains(t, swept.LogTail, "recordings: 0 bytes")
			require.Len(t, swept.LogTail, 11)

			made := s.done(token, "/api/v1/admin/backup")
			name := regexp.MustCompile(`^backups/mediad-\d{8}-\d{6}-` + made.ID + `\.backup: \d+ rows`).FindString(made.LogTail[0])
			require.NotEmpty(t, name, made.LogTail)
			file := filepath.Join(dir, "data", strings.Split(name, ":")[0])
			require.Contains(t, strings.Join(made.LogTail, "\n"), "the master key is not in it")
			for _, path := range []string{"/backups/" + filepath.Base(file), "/media/backups/" + filepath.Base(file)} {
				answer, body := s.ask(http.MethodGet, "http://"+s.http+path)
				assert.NotContains(t, body, "mediad-backup.json", "%s is %d", path, answer.StatusCode)
			}
			require.Zero(t, s.end())

			b, err := backup.Open(t.Context(), file)
			require.NoError(t, err)
			defer b.Close()
			// The site has gone on: the job itself, and what nodes and events note of themselves.
			goesOn := []string{"river_job", "river_queue", "job_progress", "outbox"}
			loaded, err := configs.Load("", s.environ)
			require.NoError(t, err)
			of, err := db.Open(t.Context(), databaseOptions(loaded.Config, nil))
			require.NoError(t, err)
			defer of.Close()
			sums, differ, err := transfer.Compare(t.Context(), b, transfertest.Snapshot(t, of), nil)
			require.NoError(t, err)
			require.NotEmpty(t, sums)
			for _, d := range differ {
				assert.Contains(t, goesOn, d.Table)
			}

			second := filepath.Join(dir, "second")
			restored := []string{"MEDIAD_DATA_DIR=" + second}
			require.NoError(t, os.MkdirAll(filepath.Join(second, "secrets"), 0o700))
			key, err := os.ReadFile(filepath.Join(dir, "data", "secrets", "master.key"))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(second, "secrets", "master.key"), key, 0o600))
			require.Contains(t, succeed(t, restored, "restore", file), "all rows and objects are those of the backup")
			require.Contains(t, succeed(t, restored, "stream", "list"), "second")
		})
	}
}
