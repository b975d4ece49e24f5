package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mediad/store/blob"
)

// Blobs implements blob.Observer.
type Blobs struct {
	requests *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

var _ blob.Observer = (*Blobs)(nil)

// NewBlobs registers the metrics of the requests to the bucket.
func NewBlobs(r prometheus.Registerer) *Blobs {
	b := &Blobs{
		requests: counters(r, "blob_requests_total", "Requests to the object store, by kind and how they ended.", "op", "result"),
		bytes:    counters(r, "blob_bytes_total", "What was stored in the object store and read from it.", "direction"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "blob_request_seconds",
			Help:    "How long requests to the object store took.",
			Buckets: []float64{.005, .02, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, []string{"op"}),
	}
	r.MustRegister(b.seconds)
	return b
}

// BlobDone implements blob.Observer. A read lasts as long as its reader takes, which says nothing of the store.
func (b *Blobs) BlobDone(op string, bytes int64, took time.Duration, err error) {
	b.requests.WithLabelValues(op, blob.Reason(err)).Inc()
	if op == "read" {
		b.bytes.WithLabelValues("out").Add(float64(bytes))
		return
	}
	b.bytes.WithLabelValues("in").Add(float64(bytes))
	b.seconds.WithLabelValues(op).Observe(took.Seconds())
}
