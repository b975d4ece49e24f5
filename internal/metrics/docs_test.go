package metrics

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"mediad/egress/relay"
	"mediad/packager/edge"
)

// TestEveryMetricIsInTheOperatorsGuide, and the guide names none that is not there.
func TestEveryMetricIsInTheOperatorsGuide(t *testing.T) {
	text, err := os.ReadFile("../../docs/operating.md")
	require.NoError(t, err)
	_, r := newMetrics(t)
	Disk(r, "data", func() (uint64, uint64, error) { return 0, 0, nil })
	Memory(r, func() (uint64, error) { return 0, nil })
	Alerts(r, func() AlertState { return AlertState{} })
	NewLadder(r)
	Database(r, func() DatabaseState { return DatabaseState{} })
	Jobs(r, func() ([]JobCount, time.Duration, error) { return nil, 0, nil })
	NewBlobs(r)
	NewArchive(r, func() int { return 0 })
	NewEdge(r).Watch(r, func() edge.Usage { return edge.Usage{} })
	Relays(r, func() []relay.Status { return nil })
	descs := make(chan *prometheus.Desc)
	go func() { r.Describe(descs); close(descs) }()
	there := map[string]bool{}
	name := regexp.MustCompile(`fqName: "(mediad_[a-z0-9_]+)"`)
	for d := range descs {
		if m := name.FindStringSubmatch(d.String()); m != nil {
			there[m[1]] = true
			require.Contains(t, string(text), "`"+m[1]+"`")
		}
	}
	for _, told := range regexp.MustCompile("`mediad_[a-z0-9_]+`").FindAllString(string(text), -1) {
		require.True(t, there[strings.Trim(told, "`")], "%s is in the guide and nowhere else", told)
	}
}
