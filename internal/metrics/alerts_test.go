package metrics

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// TestAlertsNameMetricsThatAreThere: a rule about a metric that nobody makes never fires.
func TestAlertsNameMetricsThatAreThere(t *testing.T) {
	text, err := os.ReadFile("../../configs/alerts.yml")
	require.NoError(t, err)
	_, r := newMetrics(t)
	Disk(r, "data", func() (uint64, uint64, error) { return 0, 0, nil })
	Memory(r, func() (uint64, error) { return 0, nil })
	Alerts(r, func() AlertState { return AlertState{} })
	Database(r, func() DatabaseState { return DatabaseState{} })
	NewLadder(r)
	Jobs(r, func() ([]JobCount, time.Duration, error) { return nil, 0, nil })
	NewArchive(r, func() int { return 0 })
	descs := make(chan *prometheus.Desc)
	go func() { r.Describe(descs); close(descs) }()
	there := map[string]bool{}
	name := regexp.MustCompile(`fqName: "([a-z0-9_]+)"`)
	for d := range descs {
		if m := name.FindStringSubmatch(d.String()); m != nil {
			there[m[1]] = true
		}
	}
	named := 0
	for _, line := range strings.Split(string(text), "\n") {
		expr, isExpr := strings.CutPrefix(strings.TrimSpace(line), "expr: ")
		if !isExpr {
			continue
		}
		for _, metric := range regexp.MustCompile(`\b(?:mediad|process)_[a-z0-9_]+`).FindAllString(expr, -1) {
			plain := metric
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				plain = strings.TrimSuffix(plain, suffix)
			}
			require.True(t, there[metric] || there[plain], "%s in %q", metric, expr)
			named++
		}
	}
	require.Greater(t, named, 20)
}
