package web

import (
	"fmt"
	"net/http"
)

// unbuilt is shown by a binary that was built without the application: the server works, its pages are missing.
const unbuilt = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>mediad: pages not built</title>
<body style="font: 1.05rem/1.6 system-ui, sans-serif; max-width: 38rem; margin: 15vh auto; padding: 0 1.5rem">
<h1 style="letter-spacing: -.02em">The pages are not in this binary</h1>
<p>mediad itself is running: streams can be published and played by their URLs. This binary was built without the web pages.</p>
<p>Run <code>make build</code> and start <code>bin/mediad</code> again.</p>
`

func serveUnbuilt(w http.ResponseWriter, r *http.Request) {
	newPolicy(nil).set(w.Header(), false)
	w.Header().Set("Cache-Control", "no-store")
	if routeOf(r.URL.Path).kind == unknownPage && !acceptsHTML(r) {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusServiceUnavailable)
	if r.Method != http.MethodHead {
		_, _ = fmt.Fprint(w, unbuilt) // the reader has gone: nobody is left to tell
	}
}
