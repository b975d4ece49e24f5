package metrics

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"mediad/packager/edge"
)

func TestEdge(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	e := NewEdge(r)
	e.Watch(r, func() edge.Usage { return edge.Usage{Memory: 5, Disk: 7, MemoryObjects: 1, DiskObjects: 2} })
	for _, k := range edge.Kinds() {
		for _, result := range edge.Results() {
			e.Served(edge.Served{Kind: k, Result: result, Status: 200, Bytes: 10})
		}
	}
	e.Fetched(edge.Fetched{Kind: edge.Media, Status: 0, Bytes: 3})
	e.Evicted(4)
	e.Waiting(2)
	e.Waiting(-1)
	require.NoError(t, testutil.GatherAndCompare(r, strings.NewReader(`
# HELP mediad_edge_cache_bytes What an edge's cache holds.
# TYPE mediad_edge_cache_bytes gauge
mediad_edge_cache_bytes{tier="disk"} 7
mediad_edge_cache_bytes{tier="memory"} 5
# HELP mediad_edge_evictions_total Objects that left an edge's disk for newer ones.
# TYPE mediad_edge_evictions_total counter
mediad_edge_evictions_total 4
# HELP mediad_edge_fetches_total Requests of the origin that an edge made for all who wanted the same; status other: no answer, or not whole.
# TYPE mediad_edge_fetches_total counter
mediad_edge_fetches_total{kind="media",status="other"} 1
# HELP mediad_edge_waiting Viewers who wait now for what an edge asked the origin for.
# TYPE mediad_edge_waiting gauge
mediad_edge_waiting 1
`), "mediad_edge_cache_bytes", "mediad_edge_evictions_total", "mediad_edge_fetches_total", "mediad_edge_waiting"))
	n, err := testutil.GatherAndCount(r, "mediad_edge_requests_total")
	require.NoError(t, err)
	require.Equal(t, len(edge.Kinds())*len(edge.Results()), n)
}
