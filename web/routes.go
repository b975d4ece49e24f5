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
	videoPage
	embedPage
	accountPage // of who is signed in, or about to be: it loads what it needs by itself
)

// page is what a path stands for.
type page struct {
	kind pageKind
	name string // decoded: the stream of watchPage and embedPage, the video's id of videoPage
}

// routeOf knows the paths of src/app/router.ts and the embed page.
func routeOf(path string) page {
	if path == "/" {
		return page{kind: homePage}
	}
	section, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	name := strings.TrimSuffix(rest, "/")
	if strings.Contains(name, "/") {
		return page{}
	}
	switch section {
	case "settings", "studio", "admin", "moderation":
		return page{kind: accountPage}
	}
	if name == "" {
		switch section {
		case "login", "register", "forgot-password", "reset-password", "change-password", "verify-email", "restore", "history", "watch-later":
			return page{kind: accountPage}
		}
		if len(section) > 1 && section[0] == '@' {
			return page{kind: accountPage}
		}
		return page{}
	}
	switch section {
	case "watch":
		return page{kind: watchPage, name: name}
	case "video":
		return page{kind: videoPage, name: name}
	case "embed":
		return page{kind: embedPage, name: name}
	}
	return page{}
}

// playlist is where the stream of a page is played from (design 1.3).
func (p page) playlist() string {
	return "/live/" + url.PathEscape(p.name) + "/index.m3u8"
}
