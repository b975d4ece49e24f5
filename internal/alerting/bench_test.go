package alerting

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"mediad/configs"
)

// BenchmarkReading is what one reading of a busy node costs, with a day behind it: 130 routes with their buckets, and all of our rules.
func BenchmarkReading(b *testing.B) {
	rules, err := Parse(configs.AlertRules)
	if err != nil {
		b.Fatal(err)
	}
	e := New(rules, noon, nil)
	reading := func(n int) string {
		var text strings.Builder
		text.WriteString("# TYPE mediad_http_request_duration_seconds histogram\n")
		for route := range 130 {
			for _, status := range []string{"200", "404"} {
				labels := fmt.Sprintf(`route="/api/v1/things/%d",method="GET",status=%q`, route, status)
				for _, le := range []string{"0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "5", "+Inf"} {
					fmt.Fprintf(&text, "mediad_http_request_duration_seconds_bucket{%s,le=%q} %d\n", labels, le, n)
				}
				fmt.Fprintf(&text, "mediad_http_request_duration_seconds_sum{%s} %d\nmediad_http_request_duration_seconds_count{%s} %d\n", labels, n, labels, n)
			}
		}
		for _, kind := range []string{"login_failed", "refresh_reused", "token_created", "nonce_reused", "signature_invalid", "forbidden", "csrf", "publish_refused"} {
			fmt.Fprintf(&text, "mediad_security_events_total{kind=%q} %d\n", kind, n)
		}
		fmt.Fprintf(&text, "mediad_interactions_total{kind=\"follow\"} %d\n", n)
		return text.String()
	}
	at := noon
	for range 25 * 60 {
		at = at.Add(time.Minute)
		e.Take(at, metrics(b, fmt.Sprintf("mediad_interactions_total{kind=\"follow\"} 1\nmediad_security_events_total{kind=\"login_failed\"} %d", at.Unix()%1000)))
	}
	families := metrics(b, reading(1))
	b.ReportMetric(0, "series")
	b.ResetTimer()
	for b.Loop() {
		at = at.Add(Pace)
		e.Take(at, families)
		e.Evaluate(context.Background(), at)
	}
	b.ReportMetric(float64(e.State().Series), "series")
}
