package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api"
	"mediad/api/account"
	"mediad/api/apitest"
	"mediad/api/category"
	"mediad/store/db"
)

const categoriesPath = "/api/v1/admin/categories"

type categoryBody struct {
	ID, Slug, Name string
	Counts         struct{ Streams, Live, Videos int }
}

// categoriesOf reads the public list whole, by slug.
func (c client) categoriesOf() map[string]categoryBody {
	c.t.Helper()
	page := decode[struct{ Items []categoryBody }](c.t, c.want(200, "", "GET", "/api/v1/categories?limit=100", "", "").Body.Bytes())
	all := map[string]categoryBody{}
	for _, one := range page.Items {
		all[one.Slug] = one
	}
	return all
}

func (c client) categoriesVersion() int {
	c.t.Helper()
	return decode[struct {
		Version int `json:"categories_version"`
	}](c.t, c.want(200, "", "GET", "/api/v1/config", "", "").Body.Bytes()).Version
}

func TestCategories(t *testing.T) {
	s := newSite(t, db.Options{})
	s.deps.Live = onAir{infos: []api.LiveInfo{liveInfo("blitz")}}
	c := s.client(t)
	anna := c.login("anna", "correct horse").Access
	bert := s.staff(t, c, "bert", account.Streamer).Access
	first := c.categoriesOf()
	assert.Equal(t, "Games", first["games"].Name, "a new site has some")
	assert.Len(t, c.walk("/api/v1/categories", "", 5), len(first))
	cursor := *decode[struct {
		Next *string `json:"next_cursor"`
	}](t, c.want(200, "", "GET", "/api/v1/categories?limit=5", "", "").Body.Bytes()).Next
	c.want(400, "invalid_cursor", "GET", categoriesPath+"?limit=5&cursor="+cursor, anna, "")
	version := c.categoriesVersion()
	assert.Positive(t, version)

	// A stream has one of the list, or none.
	for _, body := range []string{`{"slug":"blitz","title":"x","category":"chess"}`, `{"slug":"blitz","title":"x","category":"Games"}`} {
		assert.Contains(t, c.want(422, "validation_failed", "POST", "/api/v1/streams", bert, body).Body.String(), `"pointer":"/category"`)
	}
	c.want(201, "", "POST", "/api/v1/streams", bert, `{"slug":"blitz","title":"x","category":"games"}`)
	assert.Contains(t, c.want(422, "validation_failed", "PATCH", "/api/v1/streams/blitz", bert, `{"category":"chess"}`).Body.String(), `"code":"invalid_enum"`)
	assert.Equal(t, categoryBody{first["games"].ID, "games", "Games", struct{ Streams, Live, Videos int }{1, 1, 0}}, c.categoriesOf()["games"])

	// Admins add to it.
	a := c.want(201, "", "POST", categoriesPath, anna, `{"slug":"chess","name":" Chess \u202e& Go "}`)
	made := decode[categoryBody](t, a.Body.Bytes())
	assert.Equal(t, "Chess & Go", made.Name)
	assert.Equal(t, categoriesPath+"/"+made.ID, a.Header().Get("Location"))
	assert.Equal(t, version+1, c.categoriesVersion(), "who changed it sees it at once")
	c.want(409, "slug_taken", "POST", categoriesPath, anna, `{"slug":"chess","name":"Other"}`)
	for _, body := range []string{
		`{"slug":"","name":"x"}`, `{"slug":"A b","name":"x"}`, `{"slug":"none","name":"x"}`, `{"slug":"` + made.ID + `","name":"x"}`, `{"slug":"x","name":" "}`,
		`{"slug":"x","name":"` + strings.Repeat("x", 51) + `"}`, `{"slug":"` + strings.Repeat("x", 41) + `","name":"x"}`,
	} {
		c.want(422, "validation_failed", "POST", categoriesPath, anna, body)
	}
	assert.Contains(t, c.want(200, "", "GET", categoriesPath+"?limit=100", anna, "").Body.String(), made.ID)
	c.want(200, "", "PATCH", "/api/v1/streams/blitz", bert, `{"category":"chess"}`)
	list := func(category string) string {
		return c.want(200, "", "GET", "/api/v1/streams?category="+category, "", "").Body.String()
	}
	assert.Contains(t, list("chess"), `"slug":"blitz"`)
	assert.Contains(t, list("games"), `"items":[]`)

	// What is used is not deleted, unless it is said what comes in its place.
	assert.Contains(t, c.want(409, "invalid_state", "DELETE", categoriesPath+"/"+made.ID, anna, "").Body.String(), `"state":"used"`)
	for _, wrong := range []string{"chess", "nothing", made.ID} {
		assert.Contains(t, c.want(422, "validation_failed", "DELETE", categoriesPath+"/chess?move_to="+wrong, anna, "").Body.String(), `"pointer":"/move_to"`)
	}
	c.want(204, "", "DELETE", categoriesPath+"/chess?move_to=games", anna, "")
	assert.Contains(t, list("games"), `"slug":"blitz"`)
	assert.Equal(t, version+2, c.categoriesVersion())
	c.want(404, "not_found", "DELETE", categoriesPath+"/chess", anna, "")
	c.want(404, "not_found", "DELETE", categoriesPath+"/"+made.ID, anna, "")
	c.want(204, "", "DELETE", categoriesPath+"/games?move_to=none", anna, "")
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/streams/blitz", "", "").Body.String(), `"category":""`)
	c.want(204, "", "DELETE", categoriesPath+"/art", anna, "")
	assert.Len(t, c.categoriesOf(), len(first)-2)
	c.want(201, "", "POST", categoriesPath, anna, `{"slug":"art","name":"Art again"}`)
	rows := s.audited(t, "category.delete")
	require.Len(t, rows, 3)
	assert.Contains(t, rows[2].After, `"moved_to":"games"`)
	assert.Contains(t, rows[2].After, `"moved":1`)
	assert.Len(t, s.audited(t, "category.create"), 2)

	// A list that was emptied stays so when the site starts again.
	for slug := range c.categoriesOf() {
		c.want(204, "", "DELETE", categoriesPath+"/"+slug, anna, "")
	}
	require.NoError(t, s.categories.Ensure(t.Context()))
	assert.Empty(t, c.categoriesOf())
	for i := range category.Max {
		_, err := s.categories.Create(t.Context(), fmt.Sprint("c", i), "x")
		require.NoError(t, err)
	}
	assert.Contains(t, c.want(409, "limit_reached", "POST", categoriesPath, anna, `{"slug":"more","name":"x"}`).Body.String(), `"max":200`)
}

// TestACategoryOfBeforeTheListStays: streams were given any category once.
func TestACategoryOfBeforeTheListStays(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := s.staff(t, c, "bert", account.Streamer).Access
	c.want(201, "", "POST", "/api/v1/streams", bert, `{"slug":"blitz","title":"x"}`)
	require.NoError(t, s.db.Tx(t.Context(), func(q db.Queries) error {
		row, err := q.FindStreamBySlug("blitz")
		row.Category = "speedrun"
		if err == nil {
			err = q.SaveStream(row, row.Version, db.At(noon))
		}
		return err
	}))
	assert.Contains(t, c.want(200, "", "PATCH", "/api/v1/streams/blitz", bert, `{"title":"y","category":"speedrun"}`).Body.String(), `"category":"speedrun"`)
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/streams?category=speedrun", "", "").Body.String(), `"slug":"blitz"`)
	c.want(200, "", "PATCH", "/api/v1/streams/blitz", bert, `{"category":null}`)
	c.want(422, "validation_failed", "PATCH", "/api/v1/streams/blitz", bert, `{"category":"speedrun"}`)
}

// TestTheVersionOfCategoriesOutlivesTheDatabase: GET /config has to answer while it is away.
func TestTheVersionOfCategoriesOutlivesTheDatabase(t *testing.T) {
	s := newSite(t, db.Options{})
	version := s.categories.Version(t.Context())
	require.Positive(t, version)
	require.NoError(t, s.db.Close())
	s.clock.pass(time.Minute)
	assert.Equal(t, version, s.categories.Version(t.Context()))
}

// TestRegistrationsAreCountedByWhatTheyTell: five of what tells of accounts, and more of what is refused for its form alone.
func TestRegistrationsAreCountedByWhatTheyTell(t *testing.T) {
	s := newSite(t, db.Options{})
	s.deps.Config.LimitScale = 1
	h := s.handler(t)
	try := func(remote, body string) *apitest.Answer {
		return apitest.Do(t, h, apitest.Scenario{Method: "POST", Path: "/api/v1/auth/register", Body: body, Remote: remote})
	}
	const typist, prober = "203.0.113.7:1", "203.0.113.8:1"
	named := func(name string) string { return fmt.Sprintf(`{"username":%q,"password":%q}`, name, goodPassword) }
	for range 7 { // more than five
		a := try(typist, `{"username":"bert","password":"short"}`)
		require.Equal(t, 422, a.Code, a.Body)
		assert.Equal(t, `"register";q=5;w=3600`, a.Header().Get("RateLimit-Policy"))
		assert.Contains(t, a.Header().Get("RateLimit"), `"register";r=5;`)
	}
	require.Equal(t, 400, try(typist, `{`).Code)
	a := try(typist, named("bert"))
	require.Equal(t, 201, a.Code, a.Body)
	assert.Contains(t, a.Header().Get("RateLimit"), `"register";r=4;`)

	// A name that is taken is told, so it counts: names cannot be asked for one after the other.
	for i := range 5 {
		require.Equal(t, 409, try(prober, named("bert")).Code, i)
	}
	for _, body := range []string{named("bert"), named("somebody_new"), `{"username":"bert","password":"short"}`} {
		a = try(prober, body)
		require.Equal(t, 429, a.Code)
		assert.Contains(t, a.Body.String(), "as many accounts were made, or taken names asked for")
		assert.Equal(t, "3600", a.Header().Get("Retry-After"))
	}

	// Nothing is tried without end.
	for range 21 {
		require.Equal(t, 422, try(typist, `{"username":"x","password":"short"}`).Code)
	}
	a = try(typist, named("carl"))
	require.Equal(t, 429, a.Code, "30 in all")
	assert.Contains(t, a.Body.String(), "registering was tried as often")
	assert.Equal(t, `"register_tries";q=30;w=3600`, a.Header().Get("RateLimit-Policy"))
	s.clock.pass(time.Hour)
	require.Equal(t, 201, try(typist, named("carl")).Code)
}
