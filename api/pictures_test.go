package api_test

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/apitest"
	"mediad/api/picture"
	"mediad/store/db"
)

// square is a picture of one colour, as JPEG with EXIF that names a place.
func square(t testing.TB, side int, c color.RGBA) string {
	t.Helper()
	p := image.NewRGBA(image.Rect(0, 0, side, side))
	for i := 0; i < len(p.Pix); i += 4 {
		p.Pix[i], p.Pix[i+1], p.Pix[i+2], p.Pix[i+3] = c.R, c.G, c.B, 255
	}
	var b bytes.Buffer
	require.NoError(t, jpeg.Encode(&b, p, nil))
	return "\xff\xd8\xff\xe1\x00\x1cExif\x00\x00" + secretPlace + b.String()[2:]
}

// secretPlace stands in the EXIF of what users send.
const secretPlace = "52.5N13.4E_kitchen__"

var (
	aRed  = color.RGBA{R: 200, A: 255}
	aBlue = color.RGBA{B: 200, A: 255}
)

// put sends a picture and returns its URL.
func (c client) put(path, token, body string) string {
	c.t.Helper()
	a := c.want(200, "", "PUT", path, token, body, "Content-Type", "image/jpeg")
	var got struct {
		Avatar string `json:"avatar_url"`
		Banner string `json:"banner_url"`
	}
	require.NoError(c.t, json.Unmarshal(a.Body.Bytes(), &got))
	return got.Avatar + got.Banner
}

func (s *site) picture(t testing.TB, url string, headers ...string) *apitest.Answer {
	t.Helper()
	sc := apitest.Scenario{Path: url, Headers: map[string]string{}}
	for i := 0; i+1 < len(headers); i += 2 {
		sc.Headers[headers[i]] = headers[i+1]
	}
	return apitest.Do(t, picture.Handler(s.objects, s.deps.Log), sc)
}

func TestAvatarAndBanner(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.register("bert")
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/users/@bert", "", "").Body.String(), `"avatar_url":null,"banner_url":null`)
	c.want(204, "", "DELETE", "/api/v1/me/avatar", bert.Access, "")
	avatar := c.put("/api/v1/me/avatar", bert.Access, square(t, 400, aRed))
	banner := c.put("/api/v1/me/banner", bert.Access, square(t, 400, aRed))
	require.Regexp(t, `^/pictures/[0-9a-f]{40}\.jpg$`, avatar)
	seen := c.want(200, "", "GET", "/api/v1/users/@bert", "", "").Body.String()
	assert.Contains(t, seen, `"avatar_url":"`+avatar+`","banner_url":"`+banner+`"`)

	a := s.picture(t, avatar)
	require.Equal(t, 200, a.Code)
	pixels, err := jpeg.Decode(bytes.NewReader(a.Body.Bytes()))
	require.NoError(t, err)
	assert.Equal(t, image.Pt(256, 256), pixels.Bounds().Size())
	assert.NotContains(t, a.Body.String(), secretPlace)
	for name, want := range map[string]string{
		"Content-Type": "image/jpeg", "Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff",
		"Access-Control-Allow-Origin": "*",
	} {
		assert.Equal(t, want, a.Header().Get(name), name)
	}
	assert.Contains(t, a.Header().Get("Content-Security-Policy"), "sandbox")
	assert.Equal(t, 304, s.picture(t, avatar, "If-None-Match", a.Header().Get("ETag")).Code)
	for _, url := range []string{"/pictures/", "/pictures/x.jpg", "/pictures/../secret", avatar[:len(avatar)-4], avatar + "/", "/pictures/" + strings.Repeat("0", 40) + ".jpg"} {
		assert.Equal(t, 404, s.picture(t, url).Code, url)
	}

	assert.Equal(t, avatar, c.put("/api/v1/me/avatar", bert.Access, square(t, 400, aRed)), "the same again changes nothing")
	other := c.put("/api/v1/me/avatar", bert.Access, square(t, 400, aBlue))
	assert.NotEqual(t, avatar, other)
	require.NoError(t, swept(s.keeper.Sweep(t.Context())))
	assert.Equal(t, 200, s.picture(t, avatar).Code, "answers of a moment ago name it")
	s.clock.pass(2 * time.Minute)
	require.NoError(t, swept(s.keeper.Sweep(t.Context())))
	assert.Equal(t, 404, s.picture(t, avatar).Code)
	assert.Equal(t, 200, s.picture(t, other).Code)
	for range 2 {
		c.want(204, "", "DELETE", "/api/v1/me/avatar", bert.Access, "")
		c.want(204, "", "DELETE", "/api/v1/me/banner", bert.Access, "")
	}
	s.clock.pass(2 * time.Minute)
	require.NoError(t, swept(s.keeper.Sweep(t.Context())))
	assert.Empty(t, s.objects.snapshot())
	assert.Contains(t, c.want(200, "", "GET", "/api/v1/me", bert.Access, "").Body.String(), `"avatar_url":null`)
}

func TestPicturesOfForms(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.register("bert")
	form := func(field, kind, content string) (body, contentType string) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		require.NoError(t, w.WriteField("note", "x"))
		part, err := w.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {`form-data; name="` + field + `"; filename="../../me.jpg"`}, "Content-Type": {kind},
		})
		require.NoError(t, err)
		_, err = part.Write([]byte(content))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return b.String(), w.FormDataContentType()
	}
	for _, f := range []struct {
		field, kind, content string
		status               int
		code                 string
	}{
		{"file", "image/jpeg", square(t, 100, aRed), 200, ""}, {"file", "application/octet-stream", square(t, 100, aBlue), 200, ""},
		{"file", "text/html", square(t, 100, aRed), 415, "unsupported_media_type"}, {"other", "image/jpeg", square(t, 100, aRed), 422, "required"},
		{"file", "image/jpeg", "<svg/>", 415, "unsupported_media_type"},
		{"file", "image/png", strings.Repeat("x", picture.MaxBytes+1), 413, "payload_too_large"},
		{"file", "image/png", strings.Repeat("x", 2*picture.MaxBytes), 413, "payload_too_large"},
	} {
		body, contentType := form(f.field, f.kind, f.content)
		a := c.want(f.status, "", "PUT", "/api/v1/me/avatar", bert.Access, body, "Content-Type", contentType)
		if f.code != "" {
			assert.Contains(t, a.Body.String(), `"code":"`+f.code+`"`)
		}
	}
	c.want(422, "required", "PUT", "/api/v1/me/avatar", bert.Access, "no form", "Content-Type", "multipart/form-data; boundary=x")
	c.want(415, "unsupported_media_type", "PUT", "/api/v1/me/avatar", bert.Access, "no form", "Content-Type", "multipart/form-data")
}

// TestUploadOfAHostileImage: what is refused is refused by its first bytes.
func TestUploadOfAHostileImage(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.register("bert")
	var thin bytes.Buffer
	require.NoError(t, png.Encode(&thin, image.NewRGBA(image.Rect(0, 0, 63, 100))))
	whole := square(t, 300, aRed)
	for name, h := range map[string]struct {
		body, kind string
		status     int
		code       string
	}{
		"bomb":            {"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x75\x30\x00\x00\x75\x30\x08\x06\x00\x00\x00\x00\x00\x00\x00", "image/png", 422, "out_of_range"},
		"huge GIF":        {"GIF89a\xff\xff\xff\xff\x80\x00\x00\x00\x00\x00\xff\xff\xff,", "image/gif", 422, "out_of_range"},
		"thin":            {thin.String(), "image/png", 422, "out_of_range"},
		"truncated":       {whole[:len(whole)/2], "image/jpeg", 422, "invalid_format"},
		"SVG":             {`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`, "image/svg+xml", 415, "unsupported_media_type"},
		"SVG in disguise": {`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`, "image/png", 415, "unsupported_media_type"},
		"HTML":            {"<!doctype html><script>alert(1)</script>", "text/html", 415, "unsupported_media_type"},
		"JSON":            {`{"a":1}`, "application/json", 415, "unsupported_media_type"},
		"no type":         {whole, "", 415, "unsupported_media_type"},
		"too large":       {strings.Repeat("\xff", picture.MaxBytes+1), "image/jpeg", 413, "payload_too_large"},
		"much too large":  {strings.Repeat("\xff", picture.MaxBytes+100_000), "image/jpeg", 413, "payload_too_large"},
	} {
		for _, path := range []string{"/api/v1/me/avatar", "/api/v1/me/banner"} {
			a := c.want(h.status, "", "PUT", path, bert.Access, h.body, "Content-Type", h.kind)
			assert.Contains(t, a.Body.String(), `"code":"`+h.code+`"`, name)
			if h.status == 413 {
				assert.Contains(t, a.Body.String(), `"max_bytes":5242880`, name)
			}
		}
	}
	assert.Empty(t, s.objects.snapshot())
	polyglot := c.put("/api/v1/me/avatar", bert.Access, whole+"<script>alert(1)</script>")
	assert.NotContains(t, s.picture(t, polyglot).Body.String(), "script")
	c.want(413, "payload_too_large", "PATCH", "/api/v1/me", bert.Access, strings.Repeat(" ", 1<<20+1))
	c.want(413, "payload_too_large", "POST", "/api/v1/me/avatar", bert.Access, strings.Repeat(" ", 1<<20+1))
	c.want(401, "unauthenticated", "PUT", "/api/v1/me/avatar", "", whole, "Content-Type", "image/jpeg")
}

func TestPicturesWithoutTheirStore(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.register("bert")
	avatar := c.put("/api/v1/me/avatar", bert.Access, square(t, 100, aRed))
	s.objects.goAway(true)
	c.want(502, "storage_unavailable", "PUT", "/api/v1/me/avatar", bert.Access, square(t, 100, aBlue), "Content-Type", "image/jpeg")
	a := s.picture(t, avatar)
	assert.Equal(t, 502, a.Code)
	assert.NotContains(t, a.Body.String(), "secret path")
	c.want(204, "", "DELETE", "/api/v1/me/avatar", bert.Access, "")
	s.clock.pass(2 * time.Hour)
	require.Error(t, swept(s.keeper.Sweep(t.Context())))
	s.objects.goAway(false)
	s.clock.pass(2 * time.Minute)
	require.NoError(t, swept(s.keeper.Sweep(t.Context())))
	assert.Empty(t, s.objects.snapshot(), "what could not be deleted is deleted later")
}

// TestPicturesChosenAtOnce: whichever wins, the picture that is shown is there, and nothing else stays.
func TestPicturesChosenAtOnce(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert := c.register("bert")
	bodies := []string{square(t, 64, aRed), square(t, 64, aBlue)}
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			sc := apitest.Scenario{Method: http.MethodPut, Path: "/api/v1/me/avatar", Token: bert.Access, Body: bodies[i%2], Headers: map[string]string{"Content-Type": "image/jpeg"}}
			if i%5 == 4 {
				sc = apitest.Scenario{Method: http.MethodDelete, Path: "/api/v1/me/avatar", Token: bert.Access}
			}
			a := apitest.Do(t, c.h, sc)
			assert.Contains(t, []int{200, 204, 429}, a.Code, a.Body) // 429: two of his come in already
		})
	}
	wg.Wait()
	c.put("/api/v1/me/avatar", bert.Access, bodies[0])
	s.clock.pass(2 * time.Hour)
	require.NoError(t, swept(s.keeper.Sweep(t.Context())))
	shown := regexp.MustCompile(`"avatar_url":"([^"]+)"`).FindStringSubmatch(c.want(200, "", "GET", "/api/v1/users/@bert", "", "").Body.String())
	require.Len(t, shown, 2)
	assert.Equal(t, 200, s.picture(t, shown[1]).Code)
	assert.Len(t, s.objects.snapshot(), 1)
}

// slowly sends the beginning of a picture over a connection of its own, and leaves it at that.
func slowly(t *testing.T, url, token string, answered chan<- int) {
	t.Helper()
	body, sender := io.Pipe()
	t.Cleanup(func() { sender.Close() })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/api/v1/me/avatar", body)
	require.NoError(t, err)
	r.ContentLength = 1_000_000 // more than the server reads of what it refuses
	r.Header.Set("Content-Type", "image/jpeg")
	r.Header.Set("Authorization", "Bearer "+token)
	go func() { _, _ = sender.Write([]byte("\xff\xd8\xff")) }()
	go func() {
		a, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			answered <- 0
			return
		}
		a.Body.Close()
		answered <- a.StatusCode
	}()
}

// TestWhoSendsSlowlyKeepsNobodyOut: there are sixteen places for pictures that come in, and one client has two of them.
func TestWhoSendsSlowlyKeepsNobodyOut(t *testing.T) {
	s := newSite(t, db.Options{})
	c := s.client(t)
	bert, carl := c.register("bert"), c.register("carl")
	s.deps.Config.BodyGrace = time.Minute
	server := httptest.NewServer(s.handler(t))
	defer server.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	answered := make(chan int, 20)
	for range cap(answered) {
		slowly(t, server.URL, bert.Access, answered)
	}
	for range cap(answered) - 2 {
		select {
		case status := <-answered:
			require.Equal(t, 429, status)
		case <-time.After(10 * time.Second):
			t.Fatal("bert has more than two places")
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/api/v1/me/avatar", strings.NewReader(square(t, 100, aRed)))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "image/jpeg")
	r.Header.Set("Authorization", "Bearer "+carl.Access)
	a, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	defer a.Body.Close()
	require.Equal(t, 200, a.StatusCode)
	server.CloseClientConnections()
}

// TestABodyThatStopsIsGivenUp long before the time for all of it is over.
func TestABodyThatStopsIsGivenUp(t *testing.T) {
	s := newSite(t, db.Options{})
	bert := s.client(t).register("bert")
	s.deps.Config.BodyGrace = 50 * time.Millisecond
	server := httptest.NewServer(s.handler(t))
	defer server.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	answered := make(chan int, 1)
	slowly(t, server.URL, bert.Access, answered)
	select {
	case status := <-answered:
		require.Equal(t, 422, status)
	case <-time.After(10 * time.Second):
		t.Fatal("it is waited for")
	}
}
