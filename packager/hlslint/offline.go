package hlslint

import (
	"bytes"
	"time"
)

// JudgeOptions choose the rules of an offline judgement.
type JudgeOptions struct {
	OnlyRules, IgnoreRules []string // names; both empty: all
	Authoring              bool     // with the rules on the choice of content
	Strict                 bool     // SHOULD counts for the exit code
}

// Session is a recording: what was exchanged with one origin, in the order in which the answers came. Exchanges
// without Header are judged by their bodies only.
type Session struct {
	URL       string // as it was given; the first exchange's if empty
	Exchanges []Exchange
}

// JudgeSession judges a recording.
func JudgeSession(s Session, o JudgeOptions) Report {
	if s.URL == "" && len(s.Exchanges) > 0 {
		s.URL = s.Exchanges[0].URL
	}
	j := newJudge(s.URL, newRuleSet(o.OnlyRules, o.IgnoreRules, o.Authoring))
	for _, x := range s.Exchanges {
		j.observe(x)
	}
	r := j.report()
	r.strict = o.Strict
	return r
}

// JudgePlaylist judges one playlist of either kind by itself, as read from a file; at is when it was read.
func JudgePlaylist(url string, body []byte, at time.Time, o JudgeOptions) Report {
	x := Exchange{Purpose: PurposePlaylist, URL: url, Status: 200, Body: body, Sent: at, Done: at}
	if isMultivariant(body) {
		x.Purpose = PurposeMultivariant
	}
	return JudgeSession(Session{URL: url, Exchanges: []Exchange{x}}, o)
}

// isMultivariant looks for what only a multivariant playlist has.
func isMultivariant(body []byte) bool {
	for _, tag := range []string{"#EXT-X-STREAM-INF", "#EXT-X-I-FRAME-STREAM-INF", "#EXT-X-MEDIA:"} {
		if bytes.Contains(body, []byte(tag)) {
			return true
		}
	}
	return false
}
