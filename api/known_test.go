package api_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api"
	"mediad/api/apitest"
	"mediad/api/stream"
	"mediad/store/db"
)

// TestKnownAnswersOutliveTheDatabase: who asked before is answered the same, each by what they were told, and everybody else is told to come
// again.
func TestKnownAnswersOutliveTheDatabase(t *testing.T) {
	for name, cacheFor := range map[string]time.Duration{"alone": -1, "shared": 0} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, db.Options{})
			main, other := s.create(t, stream.Create{Slug: "main"}), s.create(t, stream.Create{Slug: "other"})
			bert, cora := s.client(t).register("bert"), s.client(t).register("cora")
			now := noon
			s.deps.Known, s.deps.Config.CacheFor, s.deps.Now = api.NewKnown(), cacheFor, func() time.Time { return now }
			results := map[string]int{}
			s.deps.Cached = func(cache string, hit bool) { results[fmt.Sprintf("%s %v", cache, hit)]++ }
			s.deps.Observe = func(r api.Request) { assert.Equal(t, r.Status >= 400, r.Code != "", "%+v", r) }
			h := s.handler(t)
			get := func(path, token string) *apitest.Answer {
				headers := map[string]string{}
				if token != "" {
					headers["Authorization"] = "Bearer " + token
				}
				return apitest.Do(t, h, apitest.Scenario{Path: path, Headers: headers})
			}
			away := func(path, token string) {
				t.Helper()
				a := get(path, token)
				assert.Equal(t, http.StatusServiceUnavailable, a.Code, path)
				assert.Contains(t, a.Body.String(), `"code":"unavailable"`)
				assert.Equal(t, "1", a.Header().Get("Retry-After"))
			}
			questions := []struct{ path, token string }{
				{"/api/v1/streams/main", ""}, {"/api/v1/streams/main", bert.Access}, {"/api/v1/streams", ""}, {"/api/v1/streams/other", ""},
				{"/api/v1/users/@anna", ""},
			}
			var before []*apitest.Answer
			for _, q := range questions {
				before = append(before, get(q.path, q.token))
				require.Equal(t, http.StatusOK, before[len(before)-1].Code)
			}
			require.Equal(t, 200, get("/api/v1/me", cora.Access).Code)
			assert.Equal(t, len(questions)+1, s.deps.Known.Len())

			require.NoError(t, s.db.Close())
			s.db.Forget(db.Change{}) // rows that are remembered would need no database
			now = now.Add(3 * time.Second)
			for i, q := range questions {
				a := get(q.path, q.token)
				assert.Equal(t, http.StatusOK, a.Code, q.path)
				assert.Equal(t, before[i].Body.String(), a.Body.String())
				assert.Equal(t, before[i].Header().Get("ETag"), a.Header().Get("ETag"))
				assert.Equal(t, "3", a.Header().Get("Age"))
			}
			assert.Equal(t, len(questions), results["known true"])
			assert.Equal(t, 304, apitest.Do(t, h, apitest.Scenario{
				Path: "/api/v1/streams/main", Headers: map[string]string{"If-None-Match": before[0].Header().Get("ETag")},
			}).Code)
			away("/api/v1/streams/main", cora.Access)
			away("/api/v1/streams?sort=newest", "")
			away("/api/v1/auth/sessions", bert.Access)

			now = now.Add(time.Second)
			s.deps.Known.Forget(main.ID)
			away("/api/v1/streams/main", "")
			away("/api/v1/streams/main", bert.Access)
			away("/api/v1/streams", "")
			assert.Equal(t, 200, get("/api/v1/streams/other", "").Code)
			now = now.Add(10 * time.Minute)
			away("/api/v1/streams/"+other.Slug, "")
		})
	}
}
