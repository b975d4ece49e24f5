package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api"
	"mediad/api/apitest"
	"mediad/api/stream"
	"mediad/store/db"
	"mediad/store/db/dbtest"
)

type page struct {
	Items []struct {
		Slug string
	}
	NextCursor *string `json:"next_cursor"`
}

func getPage(t *testing.T, h http.Handler, path string) page {
	t.Helper()
	a := apitest.Do(t, h, apitest.Scenario{Path: path})
	require.Equal(t, http.StatusOK, a.Code, a.Body.String())
	var p page
	require.NoError(t, json.Unmarshal(a.Body.Bytes(), &p))
	return p
}

// walk reads a whole list and calls between pages.
func walk(t *testing.T, h http.Handler, query string, between func(int)) []string {
	t.Helper()
	var slugs []string
	path := "/api/v1/streams?" + query
	for n := 0; ; n++ {
		require.Less(t, n, 100, "the walk has no end")
		p := getPage(t, h, path)
		for _, item := range p.Items {
			slugs = append(slugs, item.Slug)
		}
		if p.NextCursor == nil {
			return slugs
		}
		between(n)
		path = "/api/v1/streams?" + query + "&cursor=" + url.QueryEscape(*p.NextCursor)
	}
}

func TestListsAreWalkedInOrder(t *testing.T) {
	s := newSite(t, db.Options{})
	var live onAir
	live.viewers = map[string]int{}
	for i := range 23 {
		c := stream.Create{Slug: fmt.Sprintf("s-%02d", i)}
		if i%2 == 0 {
			c.Tags, c.Category = []string{"even"}, "games"
		}
		s.create(t, c)
		if i%4 == 0 {
			live.infos = append(live.infos, liveInfo(c.Slug))
			live.viewers[c.Slug] = i / 8 // some alike
		}
	}
	starting := liveInfo("s-01")
	starting.State = stream.SessionStarting
	live.infos = append(live.infos, starting)
	s.deps.Live = live
	h := s.handler(t)

	list := func(numbers ...int) []string {
		slugs := []string{}
		for _, n := range numbers {
			slugs = append(slugs, fmt.Sprintf("s-%02d", n))
		}
		return slugs
	}
	byViewers := list(20, 16, 12, 8, 4, 0)
	cases := map[string][]string{
		"sort=newest":                    list(22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
		"sort=newest&live=true":          list(20, 16, 12, 8, 4, 0),
		"sort=newest&live=false":         list(22, 21, 19, 18, 17, 15, 14, 13, 11, 10, 9, 7, 6, 5, 3, 2, 1),
		"sort=viewers":                   append(byViewers, list(22, 21, 19, 18, 17, 15, 14, 13, 11, 10, 9, 7, 6, 5, 3, 2, 1)...),
		"sort=viewers&live=true":         byViewers,
		"sort=viewers&live=false":        list(22, 21, 19, 18, 17, 15, 14, 13, 11, 10, 9, 7, 6, 5, 3, 2, 1),
		"sort=newest&tag=even":           list(22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0),
		"category=games&live=true":       byViewers,
		"category=games&live=false":      list(22, 18, 14, 10, 6, 2),
		"tag=even&category=games&live=0": list(22, 18, 14, 10, 6, 2),
		"tag=odd":                        list(),
		"category=":                      append(byViewers, list(22, 21, 19, 18, 17, 15, 14, 13, 11, 10, 9, 7, 6, 5, 3, 2, 1)...),
	}
	for query, want := range cases {
		for _, limit := range []int{1, 2, 5, 6, 7, 22, 23, 24, 100} {
			got := walk(t, h, fmt.Sprintf("%s&limit=%d", query, limit), func(int) {})
			if got == nil {
				got = []string{}
			}
			require.Equal(t, want, got, "%s, %d a page", query, limit)
		}
	}
	assert.Len(t, getPage(t, h, "/api/v1/streams").Items, 20, "the default")
}

func TestWalkUnderInsertsSeesEachOldStreamOnce(t *testing.T) {
	s := newSite(t, db.Options{})
	for i := range 10 {
		s.create(t, stream.Create{Slug: fmt.Sprintf("old-%d", i)})
	}
	got := walk(t, s.handler(t), "sort=newest&limit=2", func(n int) { s.create(t, stream.Create{Slug: fmt.Sprintf("new-%d", n)}) })
	assert.Equal(t, []string{"old-9", "old-8", "old-7", "old-6", "old-5", "old-4", "old-3", "old-2", "old-1", "old-0"}, got)
}

func TestCursors(t *testing.T) {
	s := newSite(t, db.Options{})
	for i := range 3 {
		s.create(t, stream.Create{Slug: fmt.Sprintf("s-%d", i), Tags: []string{"t"}})
	}
	h := s.handler(t)
	cursor := *getPage(t, h, "/api/v1/streams?sort=newest&limit=1").NextCursor
	invalid := func(name, query string) apitest.Scenario {
		return apitest.Scenario{Name: name, Path: "/api/v1/streams?" + query, Status: 400, Contains: []string{`"code":"invalid_cursor"`}}
	}
	apitest.Run(t, h, []apitest.Scenario{
		{Name: "good", Path: "/api/v1/streams?sort=newest&limit=1&cursor=" + cursor, Status: 200, Contains: []string{"s-1"}},
		{Name: "another page size", Path: "/api/v1/streams?sort=newest&limit=50&cursor=" + cursor, Status: 200, Contains: []string{"s-1", "s-0"}},
		invalid("other sort", "sort=viewers&cursor="+cursor), invalid("no sort", "cursor="+cursor),
		invalid("other filter", "sort=newest&tag=t&cursor="+cursor), invalid("other live", "sort=newest&live=false&cursor="+cursor),
		invalid("cut", "sort=newest&cursor="+cursor[:len(cursor)-1]), invalid("longer", "sort=newest&cursor="+cursor+"AAAA"),
		invalid("sql", "sort=newest&cursor="+url.QueryEscape("' OR 1=1 --")), invalid("junk", "sort=newest&cursor=%25"),
	})
	for i := range cursor {
		altered := cursor[:i] + string(rune('A'+(cursor[i]-'A'+1)%26)) + cursor[i+1:]
		if altered == cursor {
			continue
		}
		a := apitest.Do(t, h, apitest.Scenario{Path: "/api/v1/streams?sort=newest&cursor=" + url.QueryEscape(altered)})
		require.Equal(t, 400, a.Code, altered)
	}
	s.deps.Config.CursorKey = []byte("another")
	apitest.Run(t, s.handler(t), []apitest.Scenario{invalid("another site", "sort=newest&cursor="+cursor)})
}

func TestValidation(t *testing.T) {
	s := newSite(t, db.Options{})
	refused := func(query, pointer, code string) apitest.Scenario {
		return apitest.Scenario{Path: "/api/v1/streams?" + query, Status: 422, Contains: []string{
			`"code":"validation_failed"`, `"pointer":"` + pointer + `"`, `"code":"` + code + `"`,
		}}
	}
	apitest.Run(t, s.handler(t), []apitest.Scenario{
		refused("limit=0", "/limit", "out_of_range"), refused("limit=101", "/limit", "out_of_range"), refused("limit=-1", "/limit", "out_of_range"),
		refused("limit=x", "/limit", "invalid_format"), refused("limit=99999999999999999999999", "/limit", "invalid_format"),
		refused("limit=1.5", "/limit", "invalid_format"), refused("sort=best", "/sort", "invalid_enum"), refused("live=perhaps", "/live", "invalid_format"),
		refused("category="+strings.Repeat("x", 101), "/category", "too_long"), refused("tag="+strings.Repeat("x", 101), "/tag", "too_long"),
		{Path: "/api/v1/streams?limit=101", Status: 422, Contains: []string{`"max":100`}},
		{Path: "/api/v1/streams?limit=&sort=&live=&cursor=", Status: 200},
		{Path: "/api/v1/streams?unknown=1", Status: 200},
		{Path: "/api/v1/streams?limit=1&limit=2", Status: 400, Contains: []string{`"code":"invalid_parameter"`}},
		{Path: "/api/v1/streams?tag=" + strings.Repeat("x", 9000), Status: 400},
	})
}

func TestHostileInputs(t *testing.T) {
	s := newSite(t, db.Options{})
	s.create(t, stream.Create{Slug: "main", Tags: []string{"100%", "a_b"}, Category: "games"})
	s.create(t, stream.Create{Slug: "axb", Tags: []string{"100x", "axb"}})
	h := s.handler(t)
	doc := apitest.Load(t, h)
	inputs := []string{
		"' OR 1=1 --", "'; DROP TABLE streams; --", "%", "_", "a_b", "100%", "\x00", "a\x00b", "\xed\xa0\x80", "\xff\xfe", "\\ud800", "../../etc/passwd",
		"<script>", "{{7*7}}", "\u202e", strings.Repeat("A", 5000), "-1", "1e309", "null", "[]", "${jndi:ldap://x}", "%00", "0198f2a0-0000-7000-8000-00000000000g",
	}
	for _, input := range inputs {
		escaped := url.QueryEscape(input)
		for _, path := range []string{
			"/api/v1/streams?category=" + escaped, "/api/v1/streams?tag=" + escaped, "/api/v1/streams?sort=" + escaped, "/api/v1/streams?live=" + escaped,
			"/api/v1/streams?limit=" + escaped, "/api/v1/streams?cursor=" + escaped, "/api/v1/streams?live=true&tag=" + escaped, "/api/v1/streams?" + escaped + "=1",
			"/api/v1/streams/" + url.PathEscape(input), "/api/v1/streams/" + url.PathEscape(input) + "/playback", "/api/v1/" + url.PathEscape(input),
		} {
			for _, header := range []map[string]string{nil, {"X-Request-Id": input, "If-None-Match": input, "Origin": input, "Accept": input, "Authorization": "Bearer " + input, "X-Forwarded-For": input}} {
				a := apitest.Do(t, h, apitest.Scenario{Path: path, Headers: header})
				require.Less(t, a.Code, 500, "%q: %s", path, a.Body)
				doc.Check(t, http.MethodGet, a)
				if a.Code == 200 && strings.Contains(path, "tag=") {
					assert.LessOrEqual(t, strings.Count(a.Body.String(), `"slug"`), 1, "%q gave more rows than it names", path)
				}
			}
		}
	}
	assert.Equal(t, []string{"main"}, walk(t, h, "tag=100%25", func(int) {}))
	assert.Equal(t, []string{"main"}, walk(t, h, "tag=a_b", func(int) {}))
	assert.Len(t, walk(t, h, "", func(int) {}), 2, "nothing was dropped")
	for _, raw := range []string{"tag=%zz", "tag=%", "%ff=1", "a=1;b=2"} {
		a := apitest.Do(t, h, apitest.Scenario{Path: "/api/v1/streams?" + raw})
		assert.Equal(t, 400, a.Code, raw)
		assert.Contains(t, a.Body.String(), "invalid_parameter")
	}
}

func TestEveryQueryOfTheAPIUsesAnIndex(t *testing.T) {
	var statements dbtest.Statements
	s := newSite(t, db.Options{Observe: statements.Observe})
	for i := range 6 {
		s.create(t, stream.Create{Slug: fmt.Sprintf("s-%d", i), Tags: []string{"t"}, Category: "games"})
	}
	s.deps.Live = onAir{infos: []api.LiveInfo{liveInfo("s-1"), liveInfo("s-2")}}
	h := s.handler(t)
	for _, sort := range []string{"newest", "viewers"} {
		for _, live := range []string{"", "&live=true", "&live=false"} {
			for _, filter := range []string{"", "&tag=t", "&category=games", "&tag=t&category=games"} {
				assert.NotEmpty(t, walk(t, h, "limit=1&sort="+sort+live+filter, func(int) {}))
			}
		}
	}
	for _, path := range []string{"/api/v1/streams/s-1", "/api/v1/streams/s-1/playback", "/api/v1/streams/0198f2a0-0000-7000-8000-00000000dead", "/api/v1/config"} {
		apitest.Do(t, h, apitest.Scenario{Path: path})
	}
	_, err := s.streams.AuthorizePublish(t.Context(), "mds_"+strings.Repeat("a", 32), "")
	require.Error(t, err)
	assert.Greater(t, statements.Count(), 10)
	if s.db.Engine() == db.SQLite { // PostgreSQL reads six rows whole: it plans with 100 000 in store/db
		assert.Empty(t, statements.BadPlans(t.Context(), s.db))
	}
}
