// Package apitest runs tables of requests against the API and holds every answer to the OpenAPI document that the same
// API serves.
package apitest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Scenario is one request and what must be true of its answer.
type Scenario struct {
	Name    string // "": the path
	Method  string // "": GET
	Path    string
	Headers map[string]string
	Body    string // JSON; "": none
	Token   string // of the Authorization header; "": none
	Remote  string // peer address; "": httptest's

	Status   int
	Contains []string          // in the body
	Lacks    []string          // in body and headers
	Want     map[string]string // exact header values; "" means that the header is absent
}

// Run runs the scenarios in order, against one handler.
func Run(t *testing.T, h http.Handler, scenarios []Scenario) {
	t.Helper()
	doc := Load(t, h)
	for _, s := range scenarios {
		name := s.Name
		if name == "" {
			name = s.Path
		}
		t.Run(name, func(t *testing.T) {
			answer := Do(t, h, s)
			assert.Equal(t, s.Status, answer.Code, answer.Body.String())
			for _, want := range s.Contains {
				assert.Contains(t, answer.Body.String(), want)
			}
			for _, unwanted := range s.Lacks {
				assert.NotContains(t, answer.Body.String(), unwanted)
				for _, values := range answer.Header() {
					assert.NotContains(t, values, unwanted)
				}
			}
			for header, want := range s.Want {
				assert.Equal(t, want, answer.Header().Get(header), header)
			}
			doc.Check(t, method(s), answer)
		})
	}
}

// Do sends the request of one scenario.
func Do(t testing.TB, h http.Handler, s Scenario) *Answer {
	t.Helper()
	var body io.Reader = http.NoBody
	if s.Body != "" {
		body = strings.NewReader(s.Body)
	}
	r := httptest.NewRequestWithContext(t.Context(), method(s), s.Path, body)
	if s.Body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if s.Token != "" {
		r.Header.Set("Authorization", "Bearer "+s.Token)
	}
	for name, value := range s.Headers {
		r.Header.Set(name, value)
	}
	if s.Remote != "" {
		r.RemoteAddr = s.Remote
	}
	return Serve(t, h, r)
}

// Serve sends a request that was made by hand.
func Serve(t testing.TB, h http.Handler, r *http.Request) *Answer {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return &Answer{ResponseRecorder: w, Path: r.URL.Path}
}

// Answer is a recorded answer and what it was to.
type Answer struct {
	*httptest.ResponseRecorder
	Path string
}

func method(s Scenario) string {
	if s.Method == "" {
		return http.MethodGet
	}
	return s.Method
}
