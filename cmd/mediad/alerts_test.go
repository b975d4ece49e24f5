package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/configs"
	"mediad/internal/testx"
)

// quickRules are of what a test can bring about, at a pace that a test can wait for.
const quickRules = `
groups:
  - name: quick
    interval: 1s
    rules:
      - alert: LoginsFail
        expr: sum by (kind) (increase(mediad_security_events_total{kind="login_failed"}[3s])) > 2
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.kind }} too often."}
      - alert: DiskIsThere
        expr: mediad_disk_free_bytes / mediad_disk_total_bytes <= 1
        labels: {severity: info}
        annotations: {summary: "There is a disk for {{ $labels.dir }}."}
`

// post sends JSON and wants a status.
func (s *serving) post(path, token, body string, status int) []byte {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.http+path, strings.NewReader(body))
	require.NoError(s.t, err)
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := s.client.Do(r)
	require.NoError(s.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(s.t, err)
	require.Equal(s.t, status, answer.StatusCode, "%s: %s", path, text)
	return text
}

type shownAlert struct {
	ID, Rule, State, Summary string
	Resolution               *string
	AckedAt                  *string `json:"acked_at"`
	FiredAt                  string  `json:"fired_at"`
}

// alerts are what an admin is shown, by rule; of several the newest.
func (s *serving) alerts(token string) map[string]shownAlert {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.http+"/api/v1/admin/alerts", http.NoBody)
	require.NoError(s.t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := s.client.Do(r)
	require.NoError(s.t, err)
	defer answer.Body.Close()
	require.Equal(s.t, http.StatusOK, answer.StatusCode)
	var list struct{ Items []shownAlert }
	require.NoError(s.t, json.NewDecoder(answer.Body).Decode(&list))
	all := map[string]shownAlert{}
	for _, a := range list.Items {
		if _, known := all[a.Rule]; !known {
			all[a.Rule] = a
		}
	}
	return all
}

func (s *serving) login(name, password string) (token string) {
	s.t.Helper()
	var made struct {
		Access string `json:"access_token"`
	}
	require.NoError(s.t, json.Unmarshal(s.post("/api/v1/auth/login", "", fmt.Sprintf(`{"login":%q,"password":%q}`, name, password), 200), &made))
	require.NotEmpty(s.t, made.Access)
	return made.Access
}

// TestARunningServerAlerts: what goes wrong fires, is listed, told to a webhook, noted as seen, and resolved when it is over. What still fires survives a
// restart, and is told once.
func TestARunningServerAlerts(t *testing.T) {
	dir := t.TempDir()
	rules := filepath.Join(dir, "rules.yml")
	require.NoError(t, os.WriteFile(rules, []byte(quickRules), 0o600))
	var mu sync.Mutex
	told := map[string]int{}
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e struct {
			Type string
			Data struct{ Rule string }
		}
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&e))
		mu.Lock()
		defer mu.Unlock()
		told[e.Type+" "+e.Data.Rule]++
		w.WriteHeader(http.StatusNoContent)
	}))
	defer hook.Close()
	count := func(what string) int {
		mu.Lock()
		defer mu.Unlock()
		return told[what]
	}
	s := serve(t, filepath.Join(dir, "data"), "MEDIAD_ALERTS_RULES="+rules, "MEDIAD_ADMIN_USERNAME=boss", "MEDIAD_ADMIN_PASSWORD=correct horse", "MEDIAD_INGEST_OPEN=1", "MEDIAD_LIMITS_SCALE=0")
	token := s.login("boss", "correct horse")
	s.post("/api/v1/me/webhooks", token, fmt.Sprintf(`{"url":%q,"events":["alert.fired","alert.resolved"],"scope":"site"}`, hook.URL), 201)

	n := 0
	testx.WaitFor(t, "too many wrong passwords to be told", func() bool {
		if n++; n%20 == 1 && n < 200 {
			s.post("/api/v1/auth/login", "", fmt.Sprintf(`{"login":"nobody_%d","password":"not the right one"}`, n), 401)
		}
		return s.alerts(token)["LoginsFail"].State == "firing"
	})
	fails := s.alerts(token)["LoginsFail"]
	require.Equal(t, "login_failed too often.", fails.Summary)
	require.Contains(t, s.stderr.String(), "alert: login_failed too often.")
	testx.WaitFor(t, "the webhook to be told", func() bool { return count("alert.fired LoginsFail") == 1 })
	var acked shownAlert
	require.NoError(t, json.Unmarshal(s.post("/api/v1/admin/alerts/"+fails.ID+"/ack", token, "", 200), &acked))
	require.NotNil(t, acked.AckedAt)
	testx.WaitFor(t, "it to be over", func() bool { return s.alerts(token)["LoginsFail"].State == "resolved" })
	require.Equal(t, "cleared", *s.alerts(token)["LoginsFail"].Resolution)
	testx.WaitFor(t, "the webhook to be told that", func() bool { return count("alert.resolved LoginsFail") == 1 })

	disk := s.alerts(token)["DiskIsThere"]
	require.Equal(t, "firing", disk.State)
	require.Zero(t, s.end())
	s.start("mediad", "serve")
	_, before := s.ask("GET", "http://"+s.admin+"/metrics")
	testx.WaitFor(t, "the rules to have been evaluated again", func() bool {
		_, now := s.ask("GET", "http://"+s.admin+"/metrics")
		return now != before && strings.Contains(now, `mediad_alerts_firing{severity="info"} 1`)
	})
	require.Equal(t, disk, s.alerts(token)["DiskIsThere"], "it is the same alert")
	require.LessOrEqual(t, count("alert.fired DiskIsThere"), 1)
	require.Zero(t, count("alert.resolved DiskIsThere"))
	require.Zero(t, s.end())
}

func TestRulesThatCannotBeEvaluatedAreToldAtTheStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yml")
	require.NoError(t, os.WriteFile(file, []byte("groups: [{name: g, rules: [{alert: A, expr: 'rate(a) >'}]}]"), 0o600))
	c := configs.Default()
	c.Alerts.Rules = file
	_, err := alertRules(c)
	require.ErrorContains(t, err, "alerts.rules: rules: A: expr")
	c.Alerts.Rules = file + "x"
	_, err = alertRules(c)
	require.ErrorContains(t, err, "alerts.rules")
	c.Alerts.Rules = "off"
	none, err := alertRules(c)
	require.NoError(t, err)
	require.Nil(t, none)
	c.Alerts.Rules = ""
	own, err := alertRules(c)
	require.NoError(t, err)
	require.Greater(t, own.Len(), 18)
}
