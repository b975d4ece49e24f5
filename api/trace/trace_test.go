package trace_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"mediad/api/trace"
)

const id, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

func TestContinue(t *testing.T) {
	for header, want := range map[string]string{
		"00-" + id + "-" + parent + "-01":                      id,
		" 00-" + id + "-" + parent + "-00 ":                    id,
		"01-" + id + "-" + parent + "-01-what-is-to-come":      id,
		"00-" + id + "-" + parent + "-01-more":                 "",
		"ff-" + id + "-" + parent + "-01":                      "",
		"00-" + strings.ToUpper(id) + "-" + parent + "-01":     "",
		"00-" + strings.Repeat("0", 32) + "-" + parent + "-01": "",
		"00-" + id + "-" + strings.Repeat("0", 16) + "-01":     "",
		"00-" + id[1:] + "-" + parent + "-01":                  "",
		"00-" + id + "-" + parent:                              "",
		"00-" + id + "-" + parent + "-01\nx=y":                 "",
		"":                                                     "",
	} {
		assert.Equal(t, want, trace.ID(trace.Continue(t.Context(), http.Header{"Traceparent": {header}})), "%q", header)
	}
	assert.Empty(t, trace.ID(trace.Continue(t.Context(), http.Header{})))
	twice := http.Header{"Traceparent": {"00-" + id + "-" + parent + "-01", "00-" + id + "-" + parent + "-01"}}
	assert.Empty(t, trace.ID(trace.Continue(t.Context(), twice)))
}

func TestHandler(t *testing.T) {
	var lines bytes.Buffer
	log := slog.New(trace.Handler(slog.NewTextHandler(&lines, nil))).With("part", "x")
	log.InfoContext(t.Context(), "without")
	log.InfoContext(trace.Continue(t.Context(), http.Header{"Traceparent": {"00-" + id + "-" + parent + "-01"}}), "within")
	without, within, _ := strings.Cut(lines.String(), "\n")
	assert.NotContains(t, without, "trace_id")
	assert.Contains(t, within, "part=x trace_id="+id)
}
