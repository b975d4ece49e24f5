package alerting

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/configs"
)

// scene is made-up metrics with which a rule of configs/alerts.yml fires, and with which it does not. A line is a series with what it is (=5) or by how
// much it rises each quarter of a minute (+5).
type scene struct {
	bad, good string
	// before is for how long all was good.
	before time.Duration
}

// lag are the buckets of a histogram of which a tenth is over the middle bound, and of one where none is.
func lag(name, under, over string) (bad, good string) {
	line := func(le string, n int) string { return fmt.Sprintf("%s_bucket{le=%q} +%d\n", name, le, n) }
	return line(under, 90) + line(over, 100) + line("+Inf", 100), line(under, 100) + line(over, 100) + line("+Inf", 100)
}

func scenes() map[string]scene {
	slowAPI, fastAPI := lag("mediad_http_request_duration_seconds", "0.5", "1.0")
	slowDB, fastDB := lag("mediad_db_query_duration_seconds", "0.2", "0.5")
	slowRungs, fastRungs := lag("mediad_ladder_lag_seconds", "1.5", "3.0")
	const both = `mediad_http_request_duration_seconds_count{status="200"} +99` + "\n" + `mediad_http_request_duration_seconds_count{status="503"} `
	const jobs = `mediad_job_attempts_total{result="done"} +5` + "\n" + `mediad_job_attempts_total{result="interrupted"} +9` + "\n" + `mediad_job_attempts_total{result="retry"} `
	const cache = `mediad_cache_requests_total{cache="answers",result="hit"} +%d` + "\n" + `mediad_cache_requests_total{cache="answers",result="miss"} +%d`
	const login = `mediad_security_events_total{kind="login_failed"} `
	return map[string]scene{
		"MediadAPISlow":             {bad: slowAPI, good: fastAPI},
		"MediadAPIFails":            {bad: both + "+2", good: both + "+0"},
		"MediadDiskLow":             {bad: `mediad_disk_free_bytes{dir="data"} =9` + "\n" + `mediad_disk_total_bytes{dir="data"} =100`, good: `mediad_disk_free_bytes{dir="data"} =11` + "\n" + `mediad_disk_total_bytes{dir="data"} =100`},
		"MediadMemoryHigh":          {bad: "process_resident_memory_bytes =95\nmediad_memory_limit_bytes =100", good: "process_resident_memory_bytes =85\nmediad_memory_limit_bytes =100"},
		"MediadKeepsMediaInMemory":  {bad: "mediad_streams_in_memory =1", good: "mediad_streams_in_memory =0"},
		"MediadFileDescriptors":     {bad: "process_open_fds =900\nprocess_max_fds =1000", good: "process_open_fds =100\nprocess_max_fds =1000"},
		"MediadDatabaseSlow":        {bad: slowDB, good: fastDB},
		"MediadDatabasePoolWaits":   {bad: "mediad_db_pool_waits_total +30", good: "mediad_db_pool_waits_total +3"},
		"MediadReplicaBehind":       {bad: "mediad_db_replica_lag_seconds =6", good: "mediad_db_replica_lag_seconds =1"},
		"MediadCacheMisses":         {bad: fmt.Sprintf(cache, 140, 60), good: fmt.Sprintf(cache, 180, 20)},
		"MediadBucketQueueGrows":    {bad: "mediad_archive_waiting +10", good: "mediad_archive_waiting =0"},
		"MediadLadderLags":          {bad: slowRungs, good: fastRungs},
		"MediadPublishersDrop":      {bad: "mediad_session_resumes_total +3\nmediad_streams{state=\"live\"} =2", good: "mediad_session_resumes_total +1\nmediad_streams{state=\"live\"} =2"},
		"MediadPartsLate":           {bad: "mediad_parts_late_total +5", good: "mediad_parts_late_total +1"},
		"MediadJobsWait":            {bad: "mediad_jobs_oldest_waiting_seconds =700", good: "mediad_jobs_oldest_waiting_seconds =20"},
		"MediadJobsFail":            {bad: jobs + "+1", good: jobs + "+0"},
		"MediadInteractionsDrop":    {bad: `mediad_interactions_total{kind="follow"} +0`, good: `mediad_interactions_total{kind="follow"} +1`, before: 8 * 24 * time.Hour},
		"MediadRefreshTokensReused": {bad: `mediad_security_events_total{kind="refresh_reused"} +1`, good: `mediad_security_events_total{kind="refresh_reused"} +0`},
		"MediadSecurityEvents":      {bad: login + "+10", good: login + "+0.2", before: 25 * time.Hour},
	}
}

var line = regexp.MustCompile(`^(.+) ([=+])(\S+)$`)

// play is a rule of ours and its made-up metrics.
type play struct {
	t      *testing.T
	e      *Evaluator
	at     time.Time
	values map[string]float64
}

func newPlay(t *testing.T, name string) *play {
	t.Helper()
	rules, err := Parse(configs.AlertRules)
	require.NoError(t, err)
	r := rules.Rule(name)
	require.NotNil(t, r, "there is no rule %s", name)
	rules.list = []*Rule{r}
	return &play{t: t, e: New(rules, noon, nil), at: noon, values: map[string]float64{}}
}

// step lets time pass, with what a scene says.
func (p *play) step(lines string, by time.Duration) {
	p.t.Helper()
	p.at = p.at.Add(by)
	var text strings.Builder
	for one := range strings.Lines(lines) {
		m := line.FindStringSubmatch(strings.TrimSpace(one))
		require.NotNil(p.t, m, one)
		v, err := strconv.ParseFloat(m[3], 64)
		require.NoError(p.t, err)
		if m[2] == "+" {
			v = p.values[m[1]] + v*float64(by/Pace)
		}
		p.values[m[1]] = v
		fmt.Fprintf(&text, "%s %g\n", m[1], v)
	}
	p.e.Take(p.at, metrics(p.t, text.String()))
}

// until evaluates until the rule fires, or does not any more, and says how long that took.
func (p *play) until(firing bool, lines string, most time.Duration) time.Duration {
	p.t.Helper()
	for begun := p.at; ; {
		p.step(lines, Pace)
		found := p.e.Evaluate(context.Background(), p.at)
		require.Zero(p.t, p.e.State().Failures)
		if len(found) > 0 == firing {
			return p.at.Sub(begun)
		}
		require.Less(p.t, p.at.Sub(begun), most, "firing: %t", !firing)
	}
}

// TestEachOfOurRulesFiresAndIsResolved: there is no rule without a scene, and none that fires while all is well.
func TestEachOfOurRulesFiresAndIsResolved(t *testing.T) {
	rules, err := Parse(configs.AlertRules)
	require.NoError(t, err)
	all := scenes()
	for _, r := range rules.list {
		assert.Contains(t, all, r.Name, "a rule without a scene")
	}
	for name, s := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlay(t, name)
			for p.at.Sub(noon) < s.before {
				p.step(s.good, time.Minute)
			}
			for range 80 { // 20 minutes
				p.step(s.good, Pace)
				require.Empty(t, p.e.Evaluate(t.Context(), p.at), "all is well")
			}
			rule := p.e.rules.list[0]
			took := p.until(true, s.bad, 90*time.Minute)
			assert.GreaterOrEqual(t, took, rule.For)
			found := p.e.Firing()
			require.Len(t, found, 1)
			assert.NotContains(t, found[0].Summary, "<no value>")
			assert.Regexp(t, `^[A-Z].+\.$|^[a-z_]+ ten times`, found[0].Summary)
			took = p.until(false, s.good, 100*time.Minute)
			assert.GreaterOrEqual(t, took, 5*time.Minute, "what comes and goes is not told each time")
		})
	}
}

// TestASteadyRateIsNoAttack, also where the server started a moment ago and knows little of the day.
func TestASteadyRateIsNoAttack(t *testing.T) {
	p := newPlay(t, "MediadSecurityEvents")
	p.at = noon.Add(29 * time.Minute) // the first half of an hour is a minute
	for p.at.Sub(noon) < 4*time.Hour {
		p.step(`mediad_security_events_total{kind="login_failed"} +5`, Pace)
		require.Empty(t, p.e.Evaluate(t.Context(), p.at), p.at.Sub(noon))
	}
}
