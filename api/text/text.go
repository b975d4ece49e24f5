// Package text brings what people type into the form in which it is stored: NFC, trimmed, without characters that are
// invisible commands. It is stored and returned as plain text; nothing here escapes.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Clean removes control characters but \n and \t and the bidi overrides, then trims. Bytes that are no UTF-8 become
// U+FFFD.
func Clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if unicode.IsControl(r) || isBidiControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
	// Composed last: what was between a letter and its accent may be gone now.
	return strings.TrimSpace(norm.NFC.String(s))
}

// Line is Clean for a text of one line: what breaks it becomes a space.
func Line(s string) string {
	return strings.Join(strings.Fields(Clean(s)), " ")
}

// Len counts as the limits do: code points.
func Len(s string) int { return utf8.RuneCountInString(s) }

// isBidiControl covers the embeddings, overrides and isolates, with which a text can lie about its order.
func isBidiControl(r rune) bool {
	return '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069'
}
