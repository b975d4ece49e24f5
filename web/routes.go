package web

import (
	"net/url"
	"strings"
)

type pageKind int

const (
	unknownPage pageKind = iota
	homePage
	watchPage
	embedPage
)

// page is what a path stands for.
type page struct {
	kind   pageKind
	stream string // decoded name, for watchPage and embedPage
}

// routeOf knows the paths of src/app/router.ts and the embed page.
func routeOf(path string) page {
	if path == "/" {
		return page{kind: homePage}
	}
	section, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	stream := strings.TrimSuffix(rest, "/")
	if stream == "" || strings.Contains(stream, "/") {
		return page{}
	}
	switch section {
	case "watch":
		return page{kind: watchPage, stream: stream}
	case "embed":
		return page{kind: embedPage, stream: stream}
	}
	return page{}
}

// playlist is where the stream of a page is played from (design 1.3).
func (p page) playlist() string {
	return "/live/" + url.PathEscape(p.stream) + "/index.m3u8"
}
