package metrics

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"mediad/store/blob"
)

func TestBlobsCountRequests(t *testing.T) {
	r := prometheus.NewRegistry()
	b := NewBlobs(r)
	b.BlobDone("put", 320, time.Millisecond, nil)
	b.BlobDone("put", 0, time.Second, blob.ErrTemporary)
	b.BlobDone("open", 0, time.Millisecond, nil)
	b.BlobDone("read", 100, time.Hour, nil)
	require.InDelta(t, 1, testutil.ToFloat64(b.requests.WithLabelValues("put", "ok")), 0)
	require.InDelta(t, 1, testutil.ToFloat64(b.requests.WithLabelValues("put", "temporary")), 0)
	require.InDelta(t, 320, testutil.ToFloat64(b.bytes.WithLabelValues("in")), 0)
	require.InDelta(t, 100, testutil.ToFloat64(b.bytes.WithLabelValues("out")), 0)
	require.Equal(t, 2, testutil.CollectAndCount(r, "mediad_blob_request_seconds"), "the reader's pace is not the store's")
}
