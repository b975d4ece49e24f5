package rtsp

import (
	"errors"
	"net/url"
	"strings"
	"unicode"
)

const (
	// prefix is where every stream and key lies.
	prefix = "/live/"
	// maxName bounds a key or the name of a stream.
	maxName = 256
	// maxToken bounds a playback token.
	maxToken = 4096
	// maxEncoderName bounds what a peer calls itself.
	maxEncoderName = 128
)

var errPath = errors.New("rtsp: the path is not /live/ and a name")

// parsePath finds the name in a path such as /live/NAME: a key where somebody publishes, a stream where somebody plays.
func parsePath(path string) (string, error) {
	name, ok := strings.CutPrefix(path, prefix)
	name = strings.TrimSuffix(name, "/")
	if !ok || name == "" || len(name) > maxName || strings.ContainsRune(name, '/') {
		return "", errPath
	}
	for _, r := range name {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return "", errPath
		}
	}
	return name, nil
}

// parseQuery reads what it can: clients append their own words here, not always well-formed.
func parseQuery(q string) url.Values {
	v, _ := url.ParseQuery(q)
	if v == nil {
		v = url.Values{}
	}
	return v
}

// tokenOf is the playback token in a query, empty if there is none.
func tokenOf(query string) string {
	token := strings.TrimSuffix(parseQuery(query).Get("token"), "/")
	if len(token) > maxToken {
		return ""
	}
	return token
}

// cleanName makes a name from outside fit for a log line: printable, and not long.
func cleanName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	if len(s) > maxEncoderName {
		s = strings.ToValidUTF8(s[:maxEncoderName], "")
	}
	return strings.TrimSpace(s)
}
