package web_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/web"
)

const manifest = `{
	"index.html": {"file": "assets/main-1.js", "isEntry": true, "imports": ["_vue.js"]},
	"_vue.js": {"file": "assets/vue-1.js"},
	"src/features/watch/WatchPage.vue": {"file": "assets/watch-1.js", "imports": ["_vue.js", "_player.js"], "css": ["assets/watch-1.css"]},
	"_player.js": {"file": "assets/player-1.js", "imports": ["_vue.js"]}
}`

func built() fstest.MapFS {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	return fstest.MapFS{
		".keep":               file(""),
		"index.html":          file("<title>app</title>"),
		"index.html.gz":       file("app as gzip"),
		"embed.html":          file("<title>embed</title>"),
		"manifest.json":       file(manifest),
		"theme.js":            file("theme"),
		"favicon.svg":         file("<svg/>"),
		"assets/main-1.js":    file("main"),
		"assets/main-1.js.br": file("main as brotli"),
		"assets/main-1.js.gz": file("main as gzip"),
	}
}

func serve(t *testing.T, files fstest.MapFS, method, target string, headers ...string) *http.Response {
	t.Helper()
	handler := web.Handler(web.Options{Files: files})
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

func TestPages(t *testing.T) {
	for _, c := range []struct {
		name, target, accept string
		status               int
		body                 string
	}{
		{"home", "/", browser, 200, "<title>app</title>"},
		{"watch", "/watch/demo", browser, 200, "<title>app</title>"},
		{"watch with a query", "/watch/demo?x=1", browser, 200, "<title>app</title>"},
		{"watch without a name", "/watch/", browser, 404, "<title>app</title>"},
		{"below watch", "/watch/demo/more", browser, 404, "<title>app</title>"},
		{"embed", "/embed/demo", browser, 200, "<title>embed</title>"},
		{"unknown to a person", "/nowhere", browser, 404, "<title>app</title>"},
		{"unknown to a script", "/nowhere", "*/*", 404, "not found\n"},
		{"video", "/video/0198f2a0-0000-7000-8000-000000000031?t=90", browser, 200, "<title>app</title>"},
		{"video without an id", "/video/", browser, 404, "<title>app</title>"},
		{"profile", "/@anna", browser, 200, "<title>app</title>"},
		{"profile without a name", "/@", browser, 404, "<title>app</title>"},
		{"below a profile", "/@anna/more", browser, 404, "<title>app</title>"},
		{"login", "/login?to=/studio", browser, 200, "<title>app</title>"},
		{"link of a mail", "/reset-password", browser, 200, "<title>app</title>"},
		{"below login", "/login/more", browser, 404, "<title>app</title>"},
		{"studio", "/studio", browser, 200, "<title>app</title>"},
		{"what was watched", "/history", browser, 200, "<title>app</title>"},
		{"what is kept for later", "/watch-later", browser, 200, "<title>app</title>"},
		{"a stream of the studio", "/studio/main", browser, 200, "<title>app</title>"},
		{"a part of the settings", "/settings/security", browser, 200, "<title>app</title>"},
		{"somebody whom moderators look at", "/moderation/anna", browser, 200, "<title>app</title>"},
		{"below a part", "/admin/users/more", browser, 404, "<title>app</title>"},
		{"home to a script", "/", "*/*", 200, "<title>app</title>"},
		{"watch to a script", "/watch/demo", "*/*", 200, "<title>app</title>"},
		{"video to a script", "/video/1", "*/*", 200, "<title>app</title>"},
		{"embed to a script", "/embed/demo", "*/*", 200, "<title>embed</title>"},
		{"watch without a word of what is accepted", "/watch/demo", "", 200, "<title>app</title>"},
		{"watch to one who wants JSON", "/watch/demo", "application/json", 200, "<title>app</title>"},
		{"below watch to a script", "/watch/demo/more", "*/*", 404, "not found\n"},
		{"unknown, HTML refused", "/nowhere", "text/html;q=0", 404, "not found\n"},
		{"missing asset to a person", "/assets/old-1.js", browser, 404, "not found\n"},
		{"the page by its file name", "/index.html", browser, 404, "<title>app</title>"},
		{"the build's manifest", "/manifest.json", "*/*", 404, "not found\n"},
		{"a dot file", "/.keep", "*/*", 404, "not found\n"},
		{"a way out", "/assets/../../etc/passwd", "*/*", 404, "not found\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := serve(t, built(), http.MethodGet, c.target, "Accept", c.accept)
			assert.Equal(t, c.status, r.StatusCode)
			assert.Equal(t, c.body, body(t, r))
			assert.Equal(t, "no-cache", r.Header.Get("Cache-Control"))
		})
	}
}

func TestAssetsAreImmutableAndPrecompressed(t *testing.T) {
	for _, c := range []struct{ accepted, encoding, body string }{
		{"gzip, deflate, br, zstd", "br", "main as brotli"},
		{"gzip", "gzip", "main as gzip"},
		{"br;q=0, gzip;q=0.5", "gzip", "main as gzip"},
		{"", "", "main"},
	} {
		r := serve(t, built(), http.MethodGet, "/assets/main-1.js", "Accept-Encoding", c.accepted)
		assert.Equal(t, 200, r.StatusCode)
		assert.Equal(t, c.encoding, r.Header.Get("Content-Encoding"))
		assert.Equal(t, c.body, body(t, r))
		assert.Equal(t, "public, max-age=31536000, immutable", r.Header.Get("Cache-Control"))
		assert.Equal(t, "text/javascript; charset=utf-8", r.Header.Get("Content-Type"))
		assert.Equal(t, "Accept-Encoding", r.Header.Get("Vary"))
	}
}

func TestRevalidation(t *testing.T) {
	first := serve(t, built(), http.MethodGet, "/", "Accept", browser, "Accept-Encoding", "gzip")
	tag := first.Header.Get("ETag")
	require.NotEmpty(t, tag)

	again := serve(t, built(), http.MethodGet, "/", "Accept", browser, "Accept-Encoding", "gzip", "If-None-Match", `"other", W/`+tag)
	assert.Equal(t, http.StatusNotModified, again.StatusCode)
	assert.Empty(t, body(t, again))

	other := serve(t, built(), http.MethodGet, "/", "Accept", browser, "If-None-Match", tag)
	assert.Equal(t, 200, other.StatusCode, "another encoding is another representation")

	lost := serve(t, built(), http.MethodGet, "/nowhere", "Accept", browser, "If-None-Match", "*")
	assert.Equal(t, 404, lost.StatusCode, "a page for the lost is never not modified")
}

func TestHeadAndOtherMethods(t *testing.T) {
	r := serve(t, built(), http.MethodHead, "/theme.js")
	assert.Equal(t, 200, r.StatusCode)
	assert.Equal(t, "5", r.Header.Get("Content-Length"))
	assert.Empty(t, body(t, r))

	r = serve(t, built(), http.MethodPost, "/")
	assert.Equal(t, http.StatusMethodNotAllowed, r.StatusCode)
	assert.Equal(t, "GET, HEAD", r.Header.Get("Allow"))
}

func TestSecurityHeaders(t *testing.T) {
	page := serve(t, built(), http.MethodGet, "/watch/demo", "Accept", browser)
	csp := page.Header.Get("Content-Security-Policy")
	assert.Contains(t, csp, "script-src 'self';")
	assert.Contains(t, csp, "frame-ancestors 'none'")
	assert.NotContains(t, csp, "unsafe-eval")
	assert.Equal(t, "nosniff", page.Header.Get("X-Content-Type-Options"))
	assert.Equal(t, "strict-origin-when-cross-origin", page.Header.Get("Referrer-Policy"))
	assert.Equal(t, "DENY", page.Header.Get("X-Frame-Options"))
	assert.Empty(t, page.Header.Get("Strict-Transport-Security"))

	embed := serve(t, built(), http.MethodGet, "/embed/demo", "Accept", browser)
	assert.Contains(t, embed.Header.Get("Content-Security-Policy"), "frame-ancestors *")
	assert.Empty(t, embed.Header.Get("X-Frame-Options"))

	lost := serve(t, built(), http.MethodGet, "/embed/", "Accept", browser)
	assert.Contains(t, lost.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
}

func TestTLSAndMediaOrigins(t *testing.T) {
	handler := web.Handler(web.Options{Files: built(), MediaOrigins: []string{"https://cdn.example"}})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.TLS = &tls.ConnectionState{}
	r.Header.Set("Accept", browser)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	assert.Empty(t, w.Header().Get("Strict-Transport-Security"), "the server knows what its certificate is worth")
	csp := w.Header().Get("Content-Security-Policy")
	assert.Contains(t, csp, "connect-src 'self' https://cdn.example")
	assert.Contains(t, csp, "media-src 'self' blob: https://cdn.example")
}

func TestPagesNameWhatTheyNeed(t *testing.T) {
	r := serve(t, built(), http.MethodGet, "/watch/caf%C3%A9%20%3Ex", "Accept", browser)
	assert.Equal(t, []string{
		"</theme.js>; rel=preload; as=script",
		"</assets/player-1.js>; rel=modulepreload",
		"</assets/watch-1.css>; rel=preload; as=style",
		"</assets/watch-1.js>; rel=modulepreload",
		"</live/caf%C3%A9%20%3Ex/index.m3u8>; rel=preload; as=fetch; crossorigin",
	}, r.Header.Values("Link"), "what the HTML names itself is left out")

	assert.Empty(t, serve(t, built(), http.MethodGet, "/nowhere", "Accept", browser).Header.Values("Link"))
}

func TestBrokenManifestCostsOnlyTheHints(t *testing.T) {
	files := built()
	files["manifest.json"] = &fstest.MapFile{Data: []byte("{")}
	r := serve(t, files, http.MethodGet, "/watch/demo", "Accept", browser)
	assert.Equal(t, 200, r.StatusCode)
	assert.Equal(t, []string{"</live/demo/index.m3u8>; rel=preload; as=fetch; crossorigin"}, r.Header.Values("Link"))
}

func TestUnbuiltSaysWhatToDo(t *testing.T) {
	files := fstest.MapFS{".keep": &fstest.MapFile{}}
	r := serve(t, files, http.MethodGet, "/watch/demo", "Accept", browser)
	assert.Equal(t, http.StatusServiceUnavailable, r.StatusCode)
	assert.Contains(t, body(t, r), "make build")
	assert.Equal(t, http.StatusServiceUnavailable, serve(t, files, http.MethodGet, "/", "Accept", "*/*").StatusCode)
	assert.Equal(t, 404, serve(t, files, http.MethodGet, "/assets/x.js", "Accept", "*/*").StatusCode)
}

func TestEmbeddedBuildServes(t *testing.T) {
	handler := web.Handler(web.Options{})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept", browser)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	// Built or not, a person gets a page in HTML.
	assert.True(t, strings.HasPrefix(w.Header().Get("Content-Type"), "text/html"))
}
