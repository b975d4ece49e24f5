package hlslint

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// prompt is how soon an answer has to come that waits for nothing.
const prompt = time.Second

// sawProbe judges the answer to what no player asks.
func (j *judge) sawProbe(x *Exchange) {
	name, d := splitDirectives(x.URL)
	find := func(rule, format string, args ...any) {
		j.found.add(rule, spot{url: name, at: x.Done}, format, args...)
	}
	r := j.renditions[name]
	answer := status(x.Status)
	if x.Status == 0 {
		answer = "no answer (" + clip(x.Err) + ")"
	}
	switch x.Purpose {
	case PurposePartWithoutMSN:
		if x.Status != 400 {
			find("part-without-msn", "%s after %s", answer, round(x.took()))
		}
	case PurposeFarMSN:
		if x.Status != 400 || x.took() > prompt {
			find("msn-too-far", "_HLS_msn=%d: %s after %s", d.msn, answer, round(x.took()))
		}
	case PurposeOldMSN:
		if x.Status != 200 || x.took() > prompt || !bytes.HasPrefix(x.Body, []byte("#EXTM3U")) {
			find("msn-old-refused", "_HLS_msn=%d: %s after %s", d.msn, answer, round(x.took()))
		}
	case PurposeUnknownQuery:
		if x.Status != 200 || !bytes.HasPrefix(x.Body, []byte("#EXTM3U")) {
			find("unknown-parameter", "%s: %s", clip(x.URL), answer)
		}
	case PurposeHead:
		if x.Status != 200 || len(x.Body) > 0 {
			find("head-differs", "%s", answer)
		} else if want := j.types[x.URL]; want != "" && want != x.contentType() {
			find("head-differs", "the type is %q, of GET %q", clip(x.contentType()), clip(want))
		}
	case PurposeRange:
		j.checkRange(x, find)
	case PurposeConditional:
		if x.Status != 304 {
			find("conditional-ignored", "If-None-Match: %s: %s", clip(x.Request.Get("If-None-Match")), answer)
		}
	case PurposeMissing:
		j.checkMissing(x, find)
	case PurposeRemoved:
		if x.Status != 200 && x.Status != 206 {
			where := spot{url: name, at: x.Done, subject: x.URL}
			if r, _ := j.owner(x.URL); r != nil {
				where.url = r.url
			}
			j.found.add("removed-too-soon", where, "%s: %s", clip(x.URL), answer)
		}
	default: // what players ask too is judged elsewhere
	}
	if r != nil {
		j.errorCaching(x, r, d)
	}
}

func (j *judge) checkRange(x *Exchange, find func(rule, format string, args ...any)) {
	if x.Status == 404 || x.Status == 0 {
		return // told where it is listed
	}
	if x.Status != 206 {
		find("range-unsupported", "%s: %s", clip(x.Request.Get("Range")), status(x.Status))
		return
	}
	var from, to, size int64
	n, err := fmt.Sscanf(x.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &size)
	asked := strings.TrimPrefix(x.Request.Get("Range"), "bytes=")
	if err != nil || n != 3 || fmt.Sprintf("%d-%d", from, to) != asked || int64(len(x.Body)) != to-from+1 {
		find("range-wrong", "asked for %s, got %d bytes as %q", clip(asked), len(x.Body), clip(x.Header.Get("Content-Range")))
	}
}

func (j *judge) checkMissing(x *Exchange, find func(rule, format string, args ...any)) {
	html := x.contentType() == "text/html" || sniff(x.Body) == formatHTML
	if x.Status == 200 && html {
		find("missing-is-html", "status 200, %s", clip(x.contentType()))
		return
	}
	if x.Status != 404 && x.Status != 410 {
		find("missing-not-404", "%s", status(x.Status))
		return
	}
	target := time.Duration(0)
	for _, r := range j.renditions {
		if r.last != nil && r.last.live() {
			target = max(target, r.last.target)
		}
	}
	if age, _ := x.maxAge(); target > 0 && age > target {
		find("cache-error", "status %s with Cache-Control: %s", status(x.Status), clip(x.Header.Get("Cache-Control")))
	}
}
