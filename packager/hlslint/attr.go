package hlslint

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxAttributes bounds one attribute list; the specification's longest tag has about twenty.
const maxAttributes = 128

// attribute is one NAME=value of a tag. value is without the quotes.
type attribute struct {
	name   string
	value  string
	quoted bool
}

// attributes is one attribute list in the order of the line.
type attributes []attribute

func (l attributes) get(name string) (attribute, bool) {
	for _, a := range l {
		if a.name == name {
			return a, true
		}
	}
	return attribute{}, false
}

func (l attributes) str(name string) string {
	a, _ := l.get(name)
	return a.value
}

func (l attributes) has(name string) bool {
	_, ok := l.get(name)
	return ok
}

func (l attributes) yes(name string) bool { return l.str(name) == "YES" }

// parseAttributes reads an attribute list leniently: what is wrong is told to fault and skipped.
func parseAttributes(s string, fault func(rule, text string)) attributes {
	var list attributes
	for s != "" {
		if len(list) == maxAttributes {
			fault("attribute-syntax", fmt.Sprintf("more than %d attributes", maxAttributes))
			return list
		}
		eq := strings.IndexByte(s, '=')
		if eq < 0 {
			fault("attribute-syntax", fmt.Sprintf("%q has no =", clip(s)))
			return list
		}
		name := s[:eq]
		if t := strings.TrimSpace(name); t != name {
			fault("attribute-syntax", fmt.Sprintf("space around the name %q", clip(name)))
			name = t
		}
		if !attributeName(name) {
			fault("attribute-syntax", fmt.Sprintf("%q is not an attribute name", clip(name)))
		}
		s = s[eq+1:]
		a := attribute{name: name}
		if strings.HasPrefix(s, `"`) {
			end := strings.IndexByte(s[1:], '"')
			if end < 0 {
				fault("attribute-syntax", fmt.Sprintf("the value of %s has no closing quote", clip(name)))
				return append(list, attribute{name: name, value: s[1:], quoted: true})
			}
			a.value, a.quoted, s = s[1:1+end], true, s[end+2:]
		} else {
			end := strings.IndexByte(s, ',')
			if end < 0 {
				end = len(s)
			}
			a.value, s = s[:end], s[end:]
			if t := strings.TrimSpace(a.value); t != a.value || t == "" || strings.ContainsAny(t, " \t\"") {
				fault("attribute-syntax", fmt.Sprintf("the value %q of %s is empty or has a space or quote", clip(a.value), clip(name)))
				a.value = t
			}
		}
		if list.has(name) {
			fault("attribute-duplicate", clip(name)+" stands twice")
		} else {
			list = append(list, a)
		}
		switch {
		case s == "":
		case s == ",":
			fault("attribute-syntax", "a comma ends the list")
			s = ""
		case s[0] == ',':
			s = s[1:]
		default:
			fault("attribute-syntax", fmt.Sprintf("%q follows the value of %s", clip(s), clip(name)))
			next := strings.IndexByte(s, ',')
			if next < 0 {
				return list
			}
			s = s[next+1:]
		}
	}
	return list
}

func attributeName(s string) bool {
	if s == "" {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// parseSeconds reads a decimal number of seconds exactly to the nanosecond; sign says whether a minus is legal.
func parseSeconds(s string, sign bool) (time.Duration, bool) {
	neg := false
	if sign && strings.HasPrefix(s, "-") {
		neg, s = true, s[1:]
	}
	whole, frac, dot := strings.Cut(s, ".")
	if whole == "" || !digits(whole) || (dot && (frac == "" || !digits(frac))) {
		return 0, false
	}
	w, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || w > math.MaxInt64/int64(time.Second)-1 {
		return 0, false
	}
	if len(frac) > 9 {
		frac = frac[:9]
	}
	var f int64
	if frac != "" {
		f, _ = strconv.ParseInt(frac+strings.Repeat("0", 9-len(frac)), 10, 64)
	}
	d := time.Duration(w)*time.Second + time.Duration(f)
	if neg {
		d = -d
	}
	return d, true
}

func parseCount(s string) (uint64, bool) {
	if !digits(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

func digits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// byteRange is a sub-range of a resource; fixed is false where the playlist gave no offset and none follows
// from the range before.
type byteRange struct {
	length, offset uint64
	fixed          bool
}

func (r *byteRange) String() string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%d@%d", r.length, r.offset)
}

func parseByteRange(s string) (byteRange, bool) {
	n, o, at := strings.Cut(s, "@")
	length, ok := parseCount(n)
	if !ok || length > math.MaxInt64 {
		return byteRange{}, false
	}
	r := byteRange{length: length, fixed: at}
	if at {
		if r.offset, ok = parseCount(o); !ok || r.offset > math.MaxInt64-length {
			return byteRange{}, false
		}
	}
	return r, true
}

// parseDate reads an ISO 8601 date; exact is false where it lacks a zone or milliseconds.
func parseDate(s string) (t time.Time, exact, ok bool) {
	for _, f := range []struct {
		layout string
		zone   bool
	}{
		{time.RFC3339Nano, true},
		{"2006-01-02T15:04:05.999999999Z0700", true},
		{"2006-01-02T15:04:05.999999999Z07", true},
		{"2006-01-02T15:04:05.999999999", false},
		{"2006-01-02", false},
	} {
		if t, err := time.Parse(f.layout, s); err == nil {
			_, frac, dot := strings.Cut(s, ".")
			n := 0
			for n < len(frac) && frac[n] >= '0' && frac[n] <= '9' {
				n++
			}
			return t.UTC(), f.zone && dot && n >= 3, true
		}
	}
	return time.Time{}, false, false
}

// clip keeps evidence short.
func clip(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
