package account

import (
	"regexp"
	"slices"
	"strings"

	"mediad/api/text"
)

// Bounds of usernames.
const (
	MinUsername = 3
	MaxUsername = 32
)

var usernameRule = regexp.MustCompile(`^[a-z0-9_]{3,32}$`)

// usernamePart is what a username may begin with.
var usernamePart = regexp.MustCompile(`^[a-z0-9_]{1,32}$`)

// username lower-cases a new name and notes what is wrong with it. byAdmin: names of the site's own people are allowed.
func (e *Invalid) username(name string, byAdmin bool) string {
	name = strings.ToLower(strings.TrimSpace(name))
	n := len(e.Fields)
	switch length := text.Len(name); {
	case length < MinUsername:
		e.tooShort("username", MinUsername)
	case length > MaxUsername:
		e.tooLong("username", MaxUsername)
	case !usernameRule.MatchString(name):
		e.Add("username", "invalid_format", "a-z, 0-9 and _ alone", 0)
	case slices.Contains(wordsOfSite(), name), !byAdmin && slices.Contains(wordsOfStaff(), strings.ReplaceAll(name, "_", "")):
		e.Add("username", "invalid_format", "a reserved word", 0)
	}
	if len(e.Fields) > n {
		e.causes = append(e.causes, ErrUsername)
	}
	return name
}

// password notes what CheckPassword says.
func (e *Invalid) password(err error) {
	e.Add("password", "weak_password", ErrWeakPassword.Error(), 0)
	e.causes = append(e.causes, err)
}

// wordsOfSite collide with a word of its URLs, or stand for nobody or everybody.
func wordsOfSite() []string {
	return []string{
		"api", "live", "vod", "watch", "video", "studio", "embed", "whip", "whep", "hls", "rtmp", "rtsp", "srt", "socket_io", "assets", "pictures", "exports",
		"settings", "login", "logout", "signin", "signup", "register", "search", "upload", "help", "about", "terms", "privacy",
		"everyone", "here", "anonymous", "nobody", "unknown", "deleted", "null", "nil", "none", "undefined", "true", "false",
	}
}

// wordsOfStaff would pass for the site itself or those who run it, with underscores or without.
func wordsOfStaff() []string {
	return []string{
		"admin", "admins", "administrator", "administrators", "administration", "mod", "mods", "moderator", "moderators", "moderation", "staff", "official",
		"mediad", "system", "root", "superuser", "sysadmin", "support", "security", "safety", "abuse", "legal", "copyright", "dmca", "billing", "payments",
		"noreply", "postmaster", "hostmaster", "webmaster", "operator",
	}
}
