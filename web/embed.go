// Package web holds the single-page application and serves it.
//
//	request ─► method ─► page or file ─► security headers ─► encoding, ETag ─► bytes from memory
//
// `npm run build` fills dist; the placeholder in it lets the Go code build without Node. Nothing here starts a
// goroutine, and a handler is immutable once made.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Embedded is the built application inside this binary. It holds no index.html when the binary was built without it.
func Embedded() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil { // the directive above names the folder, so only an invalid constant could fail
		return dist
	}
	return sub
}
