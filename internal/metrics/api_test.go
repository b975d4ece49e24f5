package metrics

import (
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

func TestRequestsOfTheAPIInNumbers(t *testing.T) {
	m, r := newMetrics(t)
	m.APIRequest("/api/v1/streams", "GET", 200, time.Millisecond)
	m.APIRequest("", "BREW", 404, time.Millisecond)
	m.APIRequest("", "BREW", -1, time.Millisecond)
	n, err := testutil.GatherAndCount(r, "mediad_http_request_duration_seconds")
	require.NoError(t, err)
	require.Equal(t, 3, n)

	inside := func(want string) {
		expect(t, r, `
		# HELP mediad_http_in_flight API requests that are being answered.
		# TYPE mediad_http_in_flight gauge
		mediad_http_in_flight `+want+`
		`, "mediad_http_in_flight")
	}
	h := m.InFlight(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inside("1") }))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	inside("0")
	require.Panics(t, func() {
		m.InFlight(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("mid-way") })).
			ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	})
	inside("0")
}

func TestDiskThatCannotBeReadIsNoNumber(t *testing.T) {
	_, r := newMetrics(t)
	free, failed := uint64(42), error(nil)
	Disk(r, "data", func() (uint64, uint64, error) { return free, 100, failed })
	read := func() float64 {
		families, err := r.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if f.GetName() == "mediad_disk_free_bytes" {
				require.Equal(t, "data", f.GetMetric()[0].GetLabel()[0].GetValue())
				return f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		t.Fatal("there is no such metric")
		return 0
	}
	require.InDelta(t, 42, read(), 0)
	failed = errors.New("gone")
	require.True(t, math.IsNaN(read()))
}
