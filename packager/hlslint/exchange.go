package hlslint

import (
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Purpose says why something was asked for.
type Purpose string

// The purposes. Those that begin with probe ask for what a player does not ask, to see how the origin takes it.
const (
	PurposeMultivariant Purpose = "multivariant"
	PurposePlaylist     Purpose = "playlist" // a media playlist without directives
	PurposeReload       Purpose = "reload"   // with _HLS_msn
	PurposeDelta        Purpose = "delta"    // with _HLS_skip
	PurposeInit         Purpose = "init"
	PurposeSegment      Purpose = "segment"
	PurposePart         Purpose = "part"
	PurposeHint         Purpose = "hint" // what a preload hint names, before it is listed

	PurposePartWithoutMSN Purpose = "probe-part-without-msn"
	PurposeFarMSN         Purpose = "probe-far-msn"
	PurposeOldMSN         Purpose = "probe-old-msn"
	PurposeUnknownQuery   Purpose = "probe-unknown-parameter"
	PurposeHead           Purpose = "probe-head"
	PurposeRange          Purpose = "probe-range"
	PurposeConditional    Purpose = "probe-conditional"
	PurposeMissing        Purpose = "probe-missing"
	PurposeRemoved        Purpose = "probe-removed"
)

// Exchange is one request and its answer, the unit that is judged.
type Exchange struct {
	Purpose Purpose
	URL     string // as asked
	Final   string // after redirects; "" if none
	Method  string // "" is GET
	Request http.Header

	Status int // 0: no answer, see Err
	Proto  string
	Header http.Header
	Body   []byte // decoded; compressed says whether it was
	Err    string

	Sent time.Time // when the request left
	Done time.Time // when the answer was whole

	overBudget bool // not read whole, for the limit of bytes: says nothing about the origin
}

// asked is the byte range of the request, nil without one.
func (x *Exchange) asked() *byteRange {
	from, to, ok := strings.Cut(strings.TrimPrefix(x.Request.Get("Range"), "bytes="), "-")
	a, err1 := strconv.ParseUint(from, 10, 62)
	b, err2 := strconv.ParseUint(to, 10, 62)
	if !ok || err1 != nil || err2 != nil || b < a {
		return nil
	}
	return &byteRange{length: b - a + 1, offset: a, fixed: true}
}

// rangeKey is the key of the resource that was asked for, with its byte range.
func (x *Exchange) rangeKey() string { return resource{url: x.URL, bytes: x.asked()}.key() }

// from is the URL that relative URIs in the answer are relative to.
func (x *Exchange) from() string {
	if x.Final != "" {
		return x.Final
	}
	return x.URL
}

func (x *Exchange) took() time.Duration { return x.Done.Sub(x.Sent) }

func (x *Exchange) contentType() string {
	t, _, err := mime.ParseMediaType(x.Header.Get("Content-Type"))
	if err != nil {
		return strings.ToLower(strings.TrimSpace(x.Header.Get("Content-Type")))
	}
	return t
}

// maxAge is how long a shared cache may keep the answer; known is false where nothing says so.
func (x *Exchange) maxAge() (age time.Duration, known bool) {
	for _, d := range strings.Split(strings.ToLower(strings.Join(x.Header.Values("Cache-Control"), ",")), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(d), "=")
		switch name {
		case "no-store", "no-cache", "private":
			return 0, true
		case "max-age", "s-maxage":
			n, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 32)
			if err == nil && (!known || name == "s-maxage") {
				age, known = time.Duration(n)*time.Second, true
			}
		}
	}
	return age, known
}

// directives are the _HLS_ parameters of a request.
type directives struct {
	msn, part       uint64
	hasMSN, hasPart bool
	skip            bool
}

// splitDirectives takes the delivery directives off a URL: what remains names the playlist.
func splitDirectives(raw string) (string, directives) {
	var d directives
	u, err := url.Parse(raw)
	if err != nil || u.RawQuery == "" {
		return raw, d
	}
	var rest []string
	for _, kv := range strings.Split(u.RawQuery, "&") {
		k, v, _ := strings.Cut(kv, "=")
		switch k {
		case "_HLS_msn":
			d.msn, d.hasMSN = parseCount(v)
		case "_HLS_part":
			d.part, d.hasPart = parseCount(v)
		case "_HLS_skip":
			d.skip = true
		default:
			if !strings.HasPrefix(k, "_HLS_") {
				rest = append(rest, kv)
			}
		}
	}
	u.RawQuery = strings.Join(rest, "&")
	return u.String(), d
}

// withQuery adds parameters to a URL, sorted behind what is there.
func withQuery(raw string, params ...string) string {
	if len(params) == 0 {
		return raw
	}
	sep := "?"
	if strings.Contains(raw, "?") {
		sep = "&"
	}
	return raw + sep + strings.Join(params, "&")
}
