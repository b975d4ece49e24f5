// Package redact takes secrets out of what is written down: logs, problems, the audit log. It knows them by the name they stand under, by their own
// prefix and by their place in an address, and leaves *** and the last four characters.
//
//	log line ─► Writer ─► file      problem ─► Text ─► answer      before, after ─► Bytes ─► audit row
//
// It is a net below code that does not write secrets in the first place. A value of fewer than 8 characters leaves *** alone, since four of it
// would be half.
package redact

import (
	"bytes"
	"io"
	"unsafe"
)

const (
	mask = "***"
	// shown is how much of a value is left, where it has showFrom characters or more.
	shown, showFrom = 4, 8
)

// Writer passes on to W what is written, without secrets. Each Write has to be a whole line, as it is with the handlers of slog. A line
// without secrets is passed on as it is: nothing is allocated.
type Writer struct{ W io.Writer }

// Write implements io.Writer.
func (w Writer) Write(line []byte) (int, error) {
	if _, err := w.W.Write(Bytes(line)); err != nil {
		return 0, err //nolint:wrapcheck // it is W's own
	}
	return len(line), nil
}

// Text is s without secrets.
func Text(s string) string {
	if s == "" {
		return s
	}
	// The bytes are only read: where there is a secret, Bytes makes others.
	in := unsafe.Slice(unsafe.StringData(s), len(s))
	out := Bytes(in)
	if len(out) == len(in) && unsafe.SliceData(out) == unsafe.SliceData(in) {
		return s
	}
	return string(out)
}

// Bytes is text without secrets: text itself where it has none.
func Bytes(text []byte) []byte {
	var out []byte // nil until the first secret
	done := 0      // of text, in out
	for i := 0; i < len(text); i++ {
		from, to := secretAt(text, i)
		if from < done || to <= from || bytes.HasPrefix(text[from:to], []byte(mask)) {
			continue
		}
		if out == nil {
			out = make([]byte, 0, len(text)+16)
		}
		out = append(append(out, text[done:from]...), mask...)
		if to-from >= showFrom {
			out = append(out, text[to-shown:to]...)
		}
		done, i = to, to-1
	}
	if out == nil {
		return text
	}
	return append(out, text[done:]...)
}

// secretAt says where the secret is that byte i announces; from == to: there is none.
func secretAt(text []byte, i int) (from, to int) {
	switch text[i] {
	case '=', ':':
		if from, to = afterName(text, i, i+1); from == to && text[i] == ':' {
			return streamName(text, i)
		}
		return from, to
	case '%':
		if hasFold(text[i:], "%3d") {
			return afterName(text, i, i+3)
		}
	case '_':
		return prefixed(text, i)
	case ' ':
		return afterScheme(text, i)
	case '@':
		return beforeAt(text, i)
	case '/':
		return inPath(text, i)
	case 'J':
		return jwt(text, i)
	}
	return 0, 0
}

// named are the names under which a secret stands, also as the last word of a longer one: new_password, X-Auth-Token.
var named = [...]string{"authorization", "cookie", "password", "passphrase", "token", "secret", "key", "sig", "signature", "email"}

// afterName finds the value behind a name that ends before the separator, with quotes as deep as they may be nested.
func afterName(text []byte, sep, i int) (from, to int) {
	end := sep
	for end > 0 && (text[end-1] == '"' || text[end-1] == '\\' || text[end-1] == '\'') {
		end--
	}
	name := nameBefore(text[:end])
	if name == "" || i >= len(text) {
		return 0, 0
	}
	spaced := text[i] == ' '
	if spaced {
		i++
	}
	if i < len(text) && text[i] == '[' {
		i++
	}
	slashes := 0
	for i < len(text) && text[i] == '\\' {
		slashes++
		i++
	}
	if i < len(text) && text[i] == '"' {
		from = i + 1
		return from, closingQuote(text, from, slashes)
	}
	from, to = i, i
	// A header's value goes on to the end of what surrounds it, everything else to the next word.
	stop := " &,;\"'()[]{}<>\\\t\r\n#"
	if text[sep] == ':' && (name == "authorization" || name == "cookie") {
		stop = "\"\\]})\r\n"
	}
	for to < len(text) && bytes.IndexByte([]byte(stop), text[to]) < 0 && !hasFold(text[to:], "%26") {
		to++
	}
	value := text[from:to]
	switch {
	case string(value) == "true" || string(value) == "false" || string(value) == "null":
		return 0, 0
	case spaced && name != "authorization" && name != "cookie" && !password(name) && !random(value):
		return 0, 0 // prose: "secret_key: the file is gone"
	}
	return from, to
}

func password(name string) bool { return name == "password" || name == "passphrase" }

// random says whether a word looks like a secret and not like prose.
func random(word []byte) bool {
	return len(word) >= showFrom && (bytes.ContainsAny(word, "0123456789") || bytes.IndexByte(word, '@') > 0)
}

// nameBefore is the name with which text ends; "" if it is none of those.
func nameBefore(text []byte) string {
	if len(text) == 0 {
		return ""
	}
	switch text[len(text)-1] | 0x20 { // the letters that the names end with
	case 'n', 'e', 'd', 't', 'y', 'g', 'l':
	default:
		return ""
	}
	for _, name := range named {
		start := len(text) - len(name)
		if start < 0 || !hasFold(text[start:], name) {
			continue
		}
		// A word of its own: not the end of monkey, but that of streamKey, X-Key and %3Fkey.
		if start == 0 || !letter(text[start-1]) || upper(text[start]) && !upper(text[start-1]) || start > 2 && text[start-3] == '%' {
			return name
		}
	}
	return ""
}

// closingQuote finds the end of a quoted value: the next quote behind as few backslashes as the opening one had.
func closingQuote(text []byte, from, slashes int) int {
	run := 0
	for i := from; i < len(text); i++ {
		switch text[i] {
		case '\\':
			run++
			continue
		case '"':
			if run <= slashes {
				return i - run
			}
		}
		run = 0
	}
	return len(text)
}

// prefixes are those that our secrets begin with. An id of a server key, mdk_, is none.
var prefixes = [...]string{"mds", "mdt", "mdr", "mdi", "mdc", "mdh", "whsec"}

// prefixed finds a secret that says itself what it is. i is at the underscore.
func prefixed(text []byte, i int) (from, to int) {
	for _, p := range prefixes {
		from = i - len(p)
		if from < 0 || string(text[from:i]) != p || from > 0 && (letter(text[from-1]) || digit(text[from-1])) {
			continue
		}
		to = i + 1
		for to < len(text) && (wordByte(text[to]) || text[to] == '+' || text[to] == '/' || text[to] == '=') {
			to++
		}
		if to-i > showFrom {
			return from, to
		}
	}
	return 0, 0
}

// afterScheme finds what a header's scheme stands before: Bearer, Basic.
func afterScheme(text []byte, i int) (from, to int) {
	if !endsFold(text[:i], "bearer") && !endsFold(text[:i], "basic") {
		return 0, 0
	}
	from, to = i+1, i+1
	for to < len(text) && (wordByte(text[to]) || bytes.IndexByte([]byte(".~+/="), text[to]) >= 0) {
		to++
	}
	if !random(text[from:to]) {
		return 0, 0 // "a Bearer token is needed"
	}
	return from, to
}

// beforeAt finds the mail address around an @, or the password of an address' user.
func beforeAt(text []byte, i int) (from, to int) {
	for from = i; from > 0 && userInfo(text[from-1]); from-- {
	}
	if from >= 2 && text[from-1] == '/' && text[from-2] == '/' {
		if colon := bytes.IndexByte(text[from:i], ':'); colon >= 0 {
			return from + colon + 1, i
		}
		return 0, 0
	}
	for from = i; from > 0 && (wordByte(text[from-1]) || text[from-1] == '.' || text[from-1] == '+' || text[from-1] == '%'); from-- {
	}
	dot := 0
	for to = i + 1; to < len(text) && (wordByte(text[to]) && text[to] != '_' || text[to] == '.'); to++ {
		if text[to] == '.' {
			dot = to
		}
	}
	if dot == to-1 { // the end of a sentence
		to--
		dot = i + bytes.LastIndexByte(text[i:to], '.')
	}
	if from == i || dot <= i+1 || to-dot < 3 || !letter(text[dot+1]) {
		return 0, 0
	}
	return from, to
}

func userInfo(c byte) bool {
	return c > ' ' && c != '/' && c != '"' && c != '\'' && c != '\\' && c != '@' && c != '?' && c != '#' && c < 0x7f
}

// inPath finds the token behind /t/ and /c/.
func inPath(text []byte, i int) (from, to int) {
	if i+3 >= len(text) || text[i+1] != 't' && text[i+1] != 'c' || text[i+2] != '/' {
		return 0, 0
	}
	for from, to = i+3, i+3; to < len(text) && (wordByte(text[to]) || bytes.IndexByte([]byte(".~+=%"), text[to]) >= 0); to++ {
	}
	if to-from < showFrom {
		return 0, 0
	}
	return from, to
}

// streamName finds the last piece of an RTMP address: who knows it may publish. i is at the colon of its scheme.
func streamName(text []byte, i int) (from, to int) {
	if !endsFold(text[:i], "rtmp") && !endsFold(text[:i], "rtmps") || !bytes.HasPrefix(text[i:], []byte("://")) {
		return 0, 0
	}
	slashes := 0
	for to = i + 3; to < len(text) && userInfo(text[to]) || to < len(text) && (text[to] == '/' || text[to] == '@'); to++ {
		if text[to] == '/' {
			slashes++
			from = to + 1
		}
	}
	if slashes < 2 {
		return 0, 0
	}
	return from, to
}

// jwt finds a token by its first three letters: the begin of a JSON object in base64. i is at the third.
func jwt(text []byte, i int) (from, to int) {
	if i < 2 || text[i-1] != 'y' || text[i-2] != 'e' || i > 2 && wordByte(text[i-3]) {
		return 0, 0
	}
	dots := 0
	for from, to = i-2, i; to < len(text) && (wordByte(text[to]) || text[to] == '.'); to++ {
		if text[to] == '.' {
			dots++
		}
	}
	if dots < 1 || to-from < 20 {
		return 0, 0
	}
	return from, to
}

func letter(c byte) bool   { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func upper(c byte) bool    { return c >= 'A' && c <= 'Z' }
func digit(c byte) bool    { return c >= '0' && c <= '9' }
func wordByte(c byte) bool { return letter(c) || digit(c) || c == '-' || c == '_' }

// hasFold says whether text begins with a word in ASCII, written large or small. The word is small.
func hasFold(text []byte, word string) bool {
	if len(text) < len(word) {
		return false
	}
	for i := range len(word) {
		c := text[i]
		if upper(c) {
			c |= 0x20
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

func endsFold(text []byte, word string) bool {
	return len(text) >= len(word) && hasFold(text[len(text)-len(word):], word)
}
