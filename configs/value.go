package configs

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is a key's place in a Config: it can be set from text and printed as text that sets the same again.
type value interface {
	Set(text string) error
	String() string
}

// lister is a value that a YAML sequence may set.
type lister interface{ SetList(items []string) error }

type stringValue struct{ p *string }

func (v stringValue) Set(s string) error { *v.p = s; return nil }
func (v stringValue) String() string     { return *v.p }

type boolValue struct{ p *bool }

func (v boolValue) Set(s string) error {
	switch strings.ToLower(s) {
	case "true", "yes", "on", "1":
		*v.p = true
	case "false", "no", "off", "0":
		*v.p = false
	default:
		return fmt.Errorf("%q is neither true nor false", s)
	}
	return nil
}
func (v boolValue) String() string { return strconv.FormatBool(*v.p) }

type enumValue struct {
	p    *string
	from []string
}

func (v enumValue) Set(s string) error {
	for _, one := range v.from {
		if s == one {
			*v.p = s
			return nil
		}
	}
	return fmt.Errorf("%q is not one of %s%s", s, strings.Join(v.from, ", "), DidYouMean(s, v.from))
}
func (v enumValue) String() string { return *v.p }

type durationValue struct {
	p        *time.Duration
	min, max time.Duration
}

const day = 24 * time.Hour

func (v durationValue) Set(s string) error {
	var d time.Duration
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil {
			return fmt.Errorf("%q is not a duration such as 200ms, 2s, 2h or 14d", s)
		}
		d = time.Duration(n * float64(day))
	} else {
		var err error
		if d, err = time.ParseDuration(s); err != nil {
			return fmt.Errorf("%q is not a duration such as 200ms, 2s, 2h or 14d", s)
		}
	}
	if d < v.min || d > v.max {
		return fmt.Errorf("%s is outside %s to %s", s, formatDuration(v.min), formatDuration(v.max))
	}
	*v.p = d
	return nil
}
func (v durationValue) String() string { return formatDuration(*v.p) }

// formatDuration prints d without the zero units that time.Duration adds.
func formatDuration(d time.Duration) string {
	if d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

type intValue struct {
	p        *int
	min, max int
}

func (v intValue) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil {
		return fmt.Errorf("%q is not a whole number", s)
	}
	if n < v.min || n > v.max {
		return fmt.Errorf("%d is outside %d to %d", n, v.min, v.max)
	}
	*v.p = n
	return nil
}
func (v intValue) String() string { return strconv.Itoa(*v.p) }

type floatValue struct {
	p        *float64
	min, max float64
}

func (v floatValue) Set(s string) error {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return fmt.Errorf("%q is not a number", s)
	}
	if math.IsNaN(n) || n < v.min || n > v.max {
		return fmt.Errorf("%v is outside %v to %v", n, v.min, v.max)
	}
	*v.p = n
	return nil
}
func (v floatValue) String() string { return strconv.FormatFloat(*v.p, 'f', -1, 64) }

type listValue struct{ p *[]string }

func (v listValue) Set(s string) error { return v.SetList(splitList(s)) }
func (v listValue) SetList(items []string) error {
	*v.p = items
	return nil
}
func (v listValue) String() string { return "[" + strings.Join(*v.p, ", ") + "]" }

type prefixesValue struct{ p *[]netip.Prefix }

func (v prefixesValue) Set(s string) error { return v.SetList(splitList(s)) }
func (v prefixesValue) SetList(items []string) error {
	var out []netip.Prefix
	for _, item := range items {
		p, err := netip.ParsePrefix(item)
		if err != nil {
			addr, addrErr := netip.ParseAddr(item)
			if addrErr != nil {
				return fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", item)
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		out = append(out, p.Masked())
	}
	*v.p = out
	return nil
}
func (v prefixesValue) String() string {
	items := make([]string, len(*v.p))
	for i, p := range *v.p {
		items[i] = p.String()
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// addrValue is a listener's address, HOST:PORT; empty turns the listener off.
type addrValue struct{ p *string }

func (v addrValue) Set(s string) error {
	if s != "" {
		i := strings.LastIndexByte(s, ':')
		if i < 0 {
			return fmt.Errorf("%q is not an address such as :8080 or 127.0.0.1:8080", s)
		}
		if n, err := strconv.Atoi(s[i+1:]); err != nil || n < 0 || n > 65535 {
			return fmt.Errorf("%q has no port from 0 to 65535", s)
		}
	}
	*v.p = s
	return nil
}
func (v addrValue) String() string { return *v.p }

type percentValue struct{ p *float64 }

func (v percentValue) Set(s string) error {
	num, ok := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(num, 64)
	if !ok || err != nil || math.IsNaN(n) || n < 0 || n > 100 {
		return fmt.Errorf("%q is not a share such as 10%%", s)
	}
	*v.p = n / 100
	return nil
}
func (v percentValue) String() string {
	return strconv.FormatFloat(math.Round(*v.p*1e6)/1e4, 'f', -1, 64) + "%"
}

// sizeValue is a number of bytes, with a decimal or a binary unit.
type sizeValue struct{ p *int64 }

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}}

func (v sizeValue) Set(s string) error {
	for _, u := range sizeUnits {
		num, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(num), 64)
		if err != nil || math.IsNaN(n) || n < 0 || n*float64(u.bytes) > 1e18 {
			break
		}
		*v.p = int64(n * float64(u.bytes))
		return nil
	}
	return fmt.Errorf("%q is not a size such as 50GB", s)
}

func (v sizeValue) String() string {
	for _, u := range sizeUnits {
		if *v.p > 0 && *v.p%u.bytes == 0 {
			return strconv.FormatInt(*v.p/u.bytes, 10) + u.name
		}
	}
	return "0"
}

type quotaValue struct {
	quotas map[string]Quota
	name   string
}

func (v quotaValue) Set(s string) error {
	calls, window, ok := strings.Cut(strings.ReplaceAll(s, " ", ""), "/")
	n, err := strconv.Atoi(calls)
	d, dErr := time.ParseDuration(window)
	if !ok || err != nil || dErr != nil || n < 1 || d < time.Second {
		return fmt.Errorf("%q is not a quota such as 300/60s", s)
	}
	v.quotas[v.name] = Quota{n, d}
	return nil
}
func (v quotaValue) String() string {
	q := v.quotas[v.name]
	return fmt.Sprintf("%d/%ds", q.Calls, int(q.Window/time.Second))
}

var errNotAList = errors.New("takes one value, not a list")

func splitList(s string) []string {
	s = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(s), "["), "]")
	var out []string
	for _, item := range strings.Split(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

// routesValue is a list of STREAM=URL.
type routesValue struct {
	p       *[]string
	schemes []string
}

func (v routesValue) Set(s string) error { return v.SetList(splitList(s)) }
func (v routesValue) SetList(items []string) error {
	for _, item := range items {
		stream, address, ok := strings.Cut(item, "=")
		u, err := url.Parse(address)
		if !ok || stream == "" || err != nil || u.Host == "" {
			return errors.New("an item is not of the form STREAM=URL") // what it is may be a secret
		}
		if !slices.Contains(v.schemes, u.Scheme) {
			return fmt.Errorf("%q is not one of %s", u.Scheme+"://", strings.Join(v.schemes, "://, ")+"://")
		}
	}
	*v.p = items
	return nil
}
func (v routesValue) String() string { return listValue{v.p}.String() }

// originValue is the URL of a server: scheme, host and port.
type originValue struct{ p *string }

func (v originValue) Set(s string) error {
	u, err := url.Parse(s)
	switch {
	case s == "":
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || strings.Trim(u.Path, "/") != "" ||
		u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || !hostName.MatchString(u.Host):
		return errors.New("is not of the form https://host or http://host:port") // what it is may hold a password
	default:
		s = u.Scheme + "://" + u.Host
	}
	*v.p = s
	return nil
}
func (v originValue) String() string { return *v.p }
