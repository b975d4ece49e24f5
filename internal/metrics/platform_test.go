package metrics

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/live"
)

func TestThePlatformInNumbers(t *testing.T) {
	m, r := newMetrics(t)
	for _, code := range []string{"not_found", "role_required", "scope_missing", "origin_refused", ""} {
		m.Problem(code)
	}
	m.Security("refresh_reused")
	m.Security("made up")
	m.Notice(live.Notice{Kind: live.PublishRefused})
	m.CacheRequest("answers", true)
	m.CacheRequest("answers", false)
	m.Statement("select", "", time.Millisecond)
	m.Statement("select", "users", time.Millisecond)
	state := DatabaseState{InUse: 2, Idle: 3, Waits: 7, Lag: -1}
	Database(r, func() DatabaseState { return state })
	expect(t, r, `
	# HELP mediad_cache_requests_total Questions to caches, by whether they knew.
	# TYPE mediad_cache_requests_total counter
	mediad_cache_requests_total{cache="answers",result="hit"} 1
	mediad_cache_requests_total{cache="answers",result="miss"} 1
	# HELP mediad_db_pool Connections to the database, by state.
	# TYPE mediad_db_pool gauge
	mediad_db_pool{state="idle"} 3
	mediad_db_pool{state="in_use"} 2
	# HELP mediad_db_pool_waits_total How often a statement had to wait for a connection.
	# TYPE mediad_db_pool_waits_total counter
	mediad_db_pool_waits_total 7
	# HELP mediad_errors_total Problems that the API answered with, by code.
	# TYPE mediad_errors_total counter
	mediad_errors_total{code="not_found"} 1
	mediad_errors_total{code="origin_refused"} 1
	mediad_errors_total{code="role_required"} 1
	mediad_errors_total{code="scope_missing"} 1
	# HELP mediad_security_events_total What speaks of an attack, by kind.
	# TYPE mediad_security_events_total counter
	mediad_security_events_total{kind="csrf"} 1
	mediad_security_events_total{kind="forbidden"} 2
	mediad_security_events_total{kind="login_failed"} 0
	mediad_security_events_total{kind="nonce_reused"} 0
	mediad_security_events_total{kind="other"} 1
	mediad_security_events_total{kind="publish_refused"} 1
	mediad_security_events_total{kind="refresh_reused"} 1
	mediad_security_events_total{kind="signature_invalid"} 0
	mediad_security_events_total{kind="token_created"} 0
	`, "mediad_cache_requests_total", "mediad_db_pool", "mediad_db_pool_waits_total", "mediad_errors_total", "mediad_security_events_total", "mediad_db_replica_lag_seconds")
	state.Lag = 1500 * time.Millisecond
	expect(t, r, `
	# HELP mediad_db_replica_lag_seconds How old what the latest of the replicas shows may be; not there without replicas.
	# TYPE mediad_db_replica_lag_seconds gauge
	mediad_db_replica_lag_seconds 1.5
	`, "mediad_db_replica_lag_seconds")
}

func TestUsersOfTheLastMinutes(t *testing.T) {
	m, r := newMetrics(t)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	m.users.now = func() time.Time { return now }
	m.User("")
	m.User("a")
	now = now.Add(4 * time.Minute)
	m.User("b")
	m.User("b")
	m.ActiveUsers("1d", 12)
	active := func(recent int) {
		t.Helper()
		expect(t, r, fmt.Sprintf(`
		# HELP mediad_active_users Users who were here in the last 5 min (with a call to this node), day and 30 days (on the site).
		# TYPE mediad_active_users gauge
		mediad_active_users{window="1d"} 12
		mediad_active_users{window="5m"} %d
		`, recent), "mediad_active_users")
	}
	active(2)
	now = now.Add(2 * time.Minute)
	active(1)
	for i := range 20 {
		m.User(fmt.Sprint("later ", i))
	}
	recent, day, month := m.Users()
	require.Equal(t, []int{21, 21, 21}, []int{recent, day, month}, "who came since the longer windows were counted is in them")
	expect(t, r, `
		# HELP mediad_active_users Users who were here in the last 5 min (with a call to this node), day and 30 days (on the site).
		# TYPE mediad_active_users gauge
		mediad_active_users{window="1d"} 21
		mediad_active_users{window="5m"} 21
		`, "mediad_active_users")
	for i := range maxUsers + 10 {
		m.User(fmt.Sprint(i))
	}
	recent, _, _ = m.Users()
	require.LessOrEqual(t, recent, maxUsers)
}
