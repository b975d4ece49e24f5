package hlslint

import (
	"fmt"
	"strings"
	"time"
)

// checkMultivariant judges a multivariant playlist alone.
func (j *judge) checkMultivariant(p *playlist, at time.Time) {
	find := func(rule string, line int, format string, args ...any) {
		j.found.add(rule, spot{url: p.url, line: line, at: at}, format, args...)
	}
	j.checkGroups(p, find)
	seen := map[string]int{}
	scored, none := 0, 0
	for i := range p.variants {
		v := &p.variants[i]
		a := v.attrs
		if first, ok := seen[v.signature()]; ok {
			find("variant-duplicate", v.line, "equal to line %d", first)
		} else {
			seen[v.signature()] = v.line
		}
		if a.has("SCORE") {
			scored++
		}
		if a.str("CLOSED-CAPTIONS") == "NONE" {
			none++
		}
		peak, _ := parseCount(a.str("BANDWIDTH"))
		if average, ok := parseCount(a.str("AVERAGE-BANDWIDTH")); !ok && !a.has("AVERAGE-BANDWIDTH") {
			find("average-bandwidth-missing", v.line, "%s", clip(v.uri))
		} else if a.has("BANDWIDTH") && average > peak {
			find("average-over-peak", v.line, "AVERAGE-BANDWIDTH=%d, BANDWIDTH=%d", average, peak)
		}
		if !a.has("CODECS") {
			find("codecs-missing", v.line, "%s", clip(v.uri))
			continue
		}
		video := false
		for _, c := range splitCodecs(a.str("CODECS")) {
			video = video || videoCodec(c)
			switch c[:min(4, len(c))] {
			case "avc3", "hev1", "dvhe":
				find("codecs-in-band", v.line, "%s", clip(c))
			}
		}
		if video && !a.has("RESOLUTION") {
			find("resolution-missing", v.line, "%s", clip(v.uri))
		}
		if video && !a.has("FRAME-RATE") {
			find("frame-rate-missing", v.line, "%s", clip(v.uri))
		}
	}
	if scored > 0 && scored < len(p.variants) {
		find("score-partial", p.variants[0].line, "%d of %d variants", scored, len(p.variants))
	}
	if none > 0 && none < len(p.variants) {
		find("closed-captions-mixed", p.variants[0].line, "NONE on %d of %d variants", none, len(p.variants))
	}
	data := map[string]bool{}
	for _, d := range p.session {
		key := d.attrs.str("DATA-ID") + "\n" + d.attrs.str("LANGUAGE")
		if data[key] {
			find("session-data-invalid", d.line, "%s stands twice", clip(d.attrs.str("DATA-ID")))
		}
		data[key] = true
		if d.attrs.has("VALUE") == d.attrs.has("URI") {
			find("session-data-invalid", d.line, "needs VALUE or URI, not both")
		}
	}
	j.checkOffer(p, find)
}

// checkOffer judges the choice of content (Apple's authoring specification).
func (j *judge) checkOffer(p *playlist, find func(string, int, string, ...any)) {
	rates := map[string]bool{}
	low := false
	for i, v := range p.variants {
		n, _ := parseCount(v.attrs.str("BANDWIDTH"))
		low = low || n <= 192_000
		if v.attrs.has("RESOLUTION") {
			rates[v.attrs.str("BANDWIDTH")] = true
			if average, ok := parseCount(v.attrs.str("AVERAGE-BANDWIDTH")); ok {
				n = average
			}
			if i == 0 && (n < 1_000_000 || n > 4_000_000) {
				find("default-variant-rate", v.line, "%d kbit/s", n/1000)
			}
		}
	}
	if len(rates) == 1 {
		find("single-variant", p.variants[0].line, "one bit rate")
	}
	if len(rates) > 0 && len(p.iframes) == 0 {
		find("iframe-playlist-missing", 0, "no EXT-X-I-FRAME-STREAM-INF")
	}
	if len(p.variants) > 0 && !low {
		find("low-variant-missing", 0, "no BANDWIDTH of 192000 or less")
	}
}

func (j *judge) checkGroups(p *playlist, find func(string, int, string, ...any)) {
	groups := map[string][]*mediaTag{} // by TYPE and GROUP-ID
	for i := range p.media {
		m := &p.media[i]
		a := m.attrs
		kind := a.str("TYPE")
		key := kind + " " + a.str("GROUP-ID")
		defaults := a.yes("DEFAULT")
		for _, o := range groups[key] {
			if o.attrs.str("NAME") == a.str("NAME") {
				find("media-name-duplicate", m.line, "%q in the group %s", clip(a.str("NAME")), clip(key))
			}
			if defaults && o.attrs.yes("DEFAULT") {
				find("media-default-twice", m.line, "the group %s", clip(key))
			}
		}
		groups[key] = append(groups[key], m)
		if defaults && a.has("AUTOSELECT") && !a.yes("AUTOSELECT") {
			find("media-autoselect", m.line, "DEFAULT=YES, AUTOSELECT=%s", clip(a.str("AUTOSELECT")))
		}
		switch kind {
		case "CLOSED-CAPTIONS":
			if a.has("URI") || !captionChannel(a.str("INSTREAM-ID")) {
				find("media-closed-captions", m.line, "INSTREAM-ID=%q, URI=%q", clip(a.str("INSTREAM-ID")), clip(m.uri))
			}
		case "SUBTITLES":
			if !a.has("URI") {
				find("media-subtitles-uri", m.line, "%q", clip(a.str("NAME")))
			}
		case "AUDIO":
			if !a.has("CHANNELS") {
				find("media-channels-missing", m.line, "%q", clip(a.str("NAME")))
			}
		}
		if kind != "SUBTITLES" && a.has("FORCED") {
			find("media-type-attribute", m.line, "FORCED on TYPE=%s", clip(kind))
		}
		for _, n := range []string{"CHANNELS", "BIT-DEPTH", "SAMPLE-RATE"} {
			if kind != "AUDIO" && a.has(n) {
				find("media-type-attribute", m.line, "%s on TYPE=%s", n, clip(kind))
			}
		}
		if (kind == "AUDIO" || kind == "SUBTITLES") && !a.has("LANGUAGE") {
			find("media-language-missing", m.line, "%q", clip(a.str("NAME")))
		}
	}
	compareGroups(groups, find)
	used := map[string]bool{}
	for _, v := range append(append([]variant(nil), p.variants...), p.iframes...) {
		for _, kind := range []string{"AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"} {
			g, ok := v.attrs.get(kind)
			if !ok || !g.quoted {
				continue
			}
			key := kind + " " + g.value
			used[key] = true
			if groups[key] == nil {
				find("group-undefined", v.line, "%s=%q", kind, clip(g.value))
			}
		}
	}
	for _, key := range sortedKeys(groups) {
		if !used[key] {
			find("group-unused", groups[key][0].line, "%s", clip(key))
		}
	}
}

// compareGroups holds every group against the first of its type.
func compareGroups(groups map[string][]*mediaTag, find func(string, int, string, ...any)) {
	first := map[string]string{}
	for _, key := range sortedKeys(groups) {
		kind, _, _ := strings.Cut(key, " ")
		if first[kind] == "" {
			first[kind] = key
			continue
		}
		want, got := memberSet(groups[first[kind]]), memberSet(groups[key])
		for name, attrs := range want {
			if got[name] != attrs {
				find("media-groups-differ", groups[key][0].line, "%q of %s and %s", clip(name), clip(first[kind]), clip(key))
			}
		}
		if len(got) > len(want) {
			find("media-groups-differ", groups[key][0].line, "%s has more members than %s", clip(key), clip(first[kind]))
		}
	}
}

func memberSet(tags []*mediaTag) map[string]string {
	set := map[string]string{}
	for _, m := range tags {
		values := map[string]string{}
		for _, a := range m.attrs {
			switch a.name {
			case "URI", "CHANNELS", "BIT-DEPTH", "STABLE-RENDITION-ID", "INSTREAM-ID", "SAMPLE-RATE", "GROUP-ID":
			default:
				values[a.name] = a.value
			}
		}
		set[m.attrs.str("NAME")] = fmt.Sprint(values)
	}
	return set
}

func captionChannel(id string) bool {
	switch id {
	case "CC1", "CC2", "CC3", "CC4":
		return true
	}
	n, ok := parseCount(strings.TrimPrefix(id, "SERVICE"))
	return strings.HasPrefix(id, "SERVICE") && ok && n >= 1 && n <= 63
}

func (v *variant) signature() string {
	values := map[string]string{}
	for _, a := range v.attrs {
		values[a.name] = a.value
	}
	return v.url + fmt.Sprint(values)
}

func splitCodecs(s string) []string {
	var list []string
	for _, c := range strings.Split(s, ",") {
		if c = strings.TrimSpace(c); c != "" {
			list = append(list, c)
		}
	}
	return list
}

func videoCodec(c string) bool {
	c, _, _ = strings.Cut(strings.ToLower(c), ".")
	switch c {
	case "avc1", "avc3", "hvc1", "hev1", "dvh1", "dvhe", "av01", "vp09", "vp08", "mp4v":
		return true
	}
	return false
}
