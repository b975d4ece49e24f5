package srt

import (
	"errors"
	"net/url"
	"strings"
)

// maxStreamID is what the handshake carries at most.
const maxStreamID = 512

var errStreamID = errors.New("srt: the stream id is not publish:KEY, read:STREAM or read:STREAM:TOKEN")

// wish is what a caller asks for by its stream id.
type wish struct {
	publish bool
	name    string // the key, or the stream
	token   string
	params  url.Values
}

func parseStreamID(id string) (wish, error) {
	if len(id) > maxStreamID || strings.ContainsAny(id, "\x00\r\n") {
		return wish{}, errStreamID
	}
	if rest, ok := strings.CutPrefix(id, "#!::"); ok {
		return parseConvention(rest)
	}
	mode, rest, ok := strings.Cut(id, ":")
	rest, query, _ := strings.Cut(rest, "?")
	w := wish{publish: mode == "publish", name: rest}
	w.params, _ = url.ParseQuery(query) // what cannot be read is no parameter
	switch {
	case !ok || !w.publish && mode != "read":
		return wish{}, errStreamID
	case !w.publish:
		w.name, w.token, _ = strings.Cut(rest, ":")
	}
	return w.checked()
}

// parseConvention reads SRT's access control syntax: keys and values, r for the resource, m for the mode, s for the session.
func parseConvention(s string) (wish, error) {
	w := wish{params: url.Values{}}
	mode := "request" // the convention's default
	for pair := range strings.SplitSeq(s, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return wish{}, errStreamID
		}
		switch key {
		case "r":
			w.name = value
		case "m":
			mode = value
		case "s":
			w.token = value
		default:
			w.params.Add(key, value)
		}
	}
	switch mode {
	case "publish":
		w.publish = true
	case "request":
	default: // bidirectional: nobody sends and receives here
		return wish{}, errStreamID
	}
	return w.checked()
}

func (w wish) checked() (wish, error) {
	w.name = strings.TrimPrefix(w.name, "live/") // as other protocols' URLs have it
	if w.name == "" {
		return wish{}, errStreamID
	}
	return w, nil
}
