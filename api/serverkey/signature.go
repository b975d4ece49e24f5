package serverkey

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Scheme of the Authorization header.
const Scheme = "MEDIAD-HMAC-SHA256-V1"

// maxHeader is far above any header of ours.
const maxHeader = 512

// signature is what the header says.
type signature struct {
	key   string // mdk_…
	ts    int64  // unix seconds
	nonce string
	sig   []byte
}

// parse reads what follows the scheme: key=ID,ts=UNIX,nonce=N,sig=HEX, each once, in any order.
func parse(text string) (s signature, ok bool) {
	if len(text) > maxHeader {
		return s, false
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(part), "=")
		if !found || seen[name] {
			return s, false
		}
		seen[name] = true
		good := false
		switch name {
		case "key":
			s.key, good = value, strings.HasPrefix(value, idPrefix)
		case "ts":
			var err error
			s.ts, err = strconv.ParseInt(value, 10, 64)
			good = err == nil && s.ts >= 0 && strconv.FormatInt(s.ts, 10) == value
		case "nonce":
			s.nonce, good = value, nonceOK(value)
		case "sig":
			var err error
			s.sig, err = hex.DecodeString(value)
			good = err == nil && len(s.sig) == sha256.Size && strings.ToLower(value) == value
		}
		if !good {
			return s, false
		}
	}
	return s, len(seen) == 4
}

func nonceOK(n string) bool {
	if len(n) < 16 || len(n) > 64 {
		return false
	}
	for i := range len(n) {
		c := n[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// canonical is the string that is signed. target is the path as sent and, behind a question mark, the query; false if that cannot be read.
func canonical(ts int64, nonce, method, target string, body []byte) (string, bool) {
	path, query, _ := strings.Cut(target, "?")
	sorted, ok := canonicalQuery(query)
	if !ok {
		return "", false
	}
	sum := sha256.Sum256(body)
	return strings.Join([]string{
		Scheme, strconv.FormatInt(ts, 10), nonce, method, path, sorted, hex.EncodeToString(sum[:]),
	}, "\n"), true
}

// canonicalQuery reads the pairs as handlers do, so that what they see is what was signed, and writes them in one way.
func canonicalQuery(query string) (string, bool) {
	type pair struct{ name, value string }
	var pairs []pair
	for one := range strings.SplitSeq(query, "&") {
		if one == "" {
			continue
		}
		name, value, _ := strings.Cut(one, "=")
		n, err := url.QueryUnescape(name)
		if err != nil {
			return "", false
		}
		v, err := url.QueryUnescape(value)
		if err != nil {
			return "", false
		}
		pairs = append(pairs, pair{escape(n), escape(v)})
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	var out strings.Builder
	for i, p := range pairs {
		if i > 0 {
			out.WriteByte('&')
		}
		out.WriteString(p.name + "=" + p.value)
	}
	return out.String(), true
}

// escape writes a text as RFC 3986 asks: everything but the unreserved characters as %XX.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// Sign computes the signature of a request, in lower-case hex. target is path and query as sent.
func Sign(secret string, ts int64, nonce, method, target string, body []byte) (string, bool) {
	text, ok := canonical(ts, nonce, method, target, body)
	return hex.EncodeToString(mac(secret, text)), ok
}

func mac(secret, text string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return h.Sum(nil)
}
