package api_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/account"
	"mediad/api/upkeep"
	"mediad/internal/testx"
	"mediad/store/db"
	"mediad/store/job"
)

// swept leaves how much went out.
func swept(_ int64, err error) error { return err }

type upkeepJob struct {
	ID, Kind, State string
	Percent         int
	Attempts        int
	LogTail         []string `json:"log_tail"`
	Error           *struct{ Code, Detail string }
}

// TestOneSweepAndOneBackupAtATime: who asks meanwhile is shown the one that there is, and one that is over makes room for the next.
func TestOneSweepAndOneBackupAtATime(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	_, admin := s.streamer(t, c, "carla_7", account.Admin)
	_, moderator := s.streamer(t, c, "bert_7", account.Moderator)
	for path, kind := range map[string]string{"sweep": "site_sweep", "backup": "site_backup"} {
		path := "/api/v1/admin/" + path
		c.want(401, "unauthenticated", "POST", path, "", "")
		c.want(403, "role_required", "POST", path, moderator, "")
		a := c.want(202, "", "POST", path, admin, "")
		first := decode[upkeepJob](t, a.Body.Bytes())
		assert.Equal(t, kind, first.Kind)
		assert.Equal(t, "waiting", first.State)
		one := a.Header().Get("Location")
		assert.Equal(t, "/api/v1/admin/jobs/"+first.ID, one)
		assert.JSONEq(t, a.Body.String(), c.want(200, "", "GET", one, admin, "").Body.String())
		again := c.want(202, "", "POST", path, admin, "")
		assert.Equal(t, one, again.Header().Get("Location"))
		assert.Equal(t, first.ID, decode[upkeepJob](t, again.Body.Bytes()).ID)

		c.want(200, "", "POST", one+"/cancel", admin, "")
		next := decode[upkeepJob](t, c.want(202, "", "POST", path, admin, "").Body.Bytes())
		assert.NotEqual(t, first.ID, next.ID)
		action := strings.Replace(kind, "_", ".", 1)
		for _, id := range []string{first.ID, next.ID} {
			log := c.want(200, "", "GET", "/api/v1/admin/audit?action="+action+"&target=job:"+id, admin, "").Body.String()
			assert.Equal(t, 1, strings.Count(log, fmt.Sprintf(`"action":%q`, action)), "what was asked for again changed nothing: %s", log)
		}
	}
}

// TestASweepTellsWhatWent, does all there is to do although one part fails, and ends when it is told to.
func TestASweepTellsWhatWent(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	_, admin := s.streamer(t, c, "carla_8", account.Admin)
	var broken atomic.Bool
	begun := make(chan struct{})
	s.upkeep.Use(upkeep.Parts{
		Sweeps: []upkeep.Sweep{
			{Name: "recordings", Unit: "bytes", Do: func(context.Context) (int64, error) {
				if broken.Load() {
					return 3, errors.New("the disk is away")
				}
				return 4096, nil
			}},
			{Name: "answers", Unit: "rows", Do: s.deps.Once.Sweep},
		},
		Backup: func(ctx context.Context, _ *job.Job) error {
			close(begun)
			<-ctx.Done()
			return ctx.Err()
		},
	})
	s.works(t)
	find := func(id string) upkeepJob {
		return decode[upkeepJob](t, c.want(200, "", "GET", "/api/v1/admin/jobs/"+id, admin, "").Body.Bytes())
	}
	ask := func(path string) string {
		return decode[upkeepJob](t, c.want(202, "", "POST", "/api/v1/admin/"+path, admin, "").Body.Bytes()).ID
	}
	id := ask("sweep")
	testx.WaitFor(t, "the sweep to be done", func() bool { return find(id).State == "done" })
	assert.Equal(t, []string{"recordings: 4096 bytes", "answers: 0 rows"}, find(id).LogTail)

	broken.Store(true)
	id = ask("sweep")
	testx.WaitFor(t, "the sweep to have failed once", func() bool { return find(id).Error != nil })
	assert.Contains(t, find(id).Error.Detail, "recordings: the disk is away")
	assert.Equal(t, []string{"recordings: 3 bytes, then it failed: the disk is away", "answers: 0 rows"}, find(id).LogTail)
	assert.Equal(t, id, ask("sweep"), "it waits for another try")

	id = ask("backup")
	<-begun
	require.Equal(t, "running", find(id).State)
	assert.Equal(t, id, ask("backup"))
	c.want(200, "", "POST", "/api/v1/admin/jobs/"+id+"/cancel", admin, "")
	testx.WaitFor(t, "the backup to have ended", func() bool { return find(id).State == "canceled" })
}

// TestAskingTwiceWithAKey is asking once, also behind the end of the job.
func TestAskingTwiceWithAKey(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	_, admin := s.streamer(t, c, "carla_9", account.Admin)
	s.upkeep.Use(upkeep.Parts{})
	s.works(t)
	ask := func() string {
		return c.want(202, "", "POST", "/api/v1/admin/sweep", admin, "", "Idempotency-Key", "one-sweep").Header().Get("Location")
	}
	first := ask()
	testx.WaitFor(t, "the sweep to be done", func() bool {
		return decode[upkeepJob](t, c.want(200, "", "GET", first, admin, "").Body.Bytes()).State == "done"
	})
	assert.Equal(t, first, ask())
}
