package text_test

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"golang.org/x/text/unicode/norm"

	"mediad/api/text"
)

func TestClean(t *testing.T) {
	cases := map[string]string{
		"":                                  "",
		"  plain \t ":                       "plain",
		"two\nlines\tand a tab":             "two\nlines\tand a tab",
		"null\x00 bell\x07 del\x7f":         "null bell del",
		"a\u202eb\u2066c\u202ad":            "abcd",
		"e\u0301":                           "\u00e9",
		"\xff\xfe":                          "\ufffd",
		"<script>alert(1)</script>":         "<script>alert(1)</script>",
		"' OR 1=1 --":                       "' OR 1=1 --",
		"\u00a0\u3000wide\u3000":            "wide",
		"family \U0001f469\u200d\U0001f467": "family \U0001f469\u200d\U0001f467",
	}
	for in, want := range cases {
		assert.Equal(t, want, text.Clean(in), "%q", in)
	}
	assert.Equal(t, "one line of words", text.Line(" one\nline\t of   words "))
	assert.Equal(t, 2, text.Len("\u00e9\U0001f469"))
}

func FuzzClean(f *testing.F) {
	f.Add("a\u202eb e\u0301 \x00")
	f.Fuzz(func(t *testing.T, s string) {
		got := text.Clean(s)
		if !utf8.ValidString(got) || !norm.NFC.IsNormalString(got) {
			t.Fatalf("%q became %q", s, got)
		}
		if again := text.Clean(got); again != got {
			t.Fatalf("not stable: %q, %q, %q", s, got, again)
		}
	})
}
