package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"unicode/utf8"

	"mediad/api/problem"
)

// maxDepth of a JSON body.
const maxDepth = 32

// strictJSON reads the body and refuses what two readers may read differently: twice the same key, bytes behind the end, what is no text.
// plain: it may call itself text/plain.
func strictJSON(r *http.Request, plain bool) *problem.Problem {
	if r.Method == http.MethodGet || r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	text, refusal := wholeBody(r)
	if refusal != nil {
		return refusal
	}
	if len(text) == 0 {
		return nil
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	known := mediaType == "application/json" || mediaType == "application/merge-patch+json" && r.Method == http.MethodPatch || mediaType == "text/plain" && plain
	if err != nil || !known {
		return problem.New(problem.UnsupportedMediaType, "The body has to be application/json.")
	}
	r.Header.Set("Content-Type", "application/json")
	if detail := wrongJSON(text); detail != "" {
		return problem.New(problem.MalformedJSON, detail)
	}
	return nil
}

// wholeBody reads the body, and leaves it to be read again. The edge bounds it.
func wholeBody(r *http.Request) ([]byte, *problem.Problem) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			p := problem.New(problem.PayloadTooLarge, "The body is too large.")
			p.MaxBytes = large.Limit
			return nil, p
		}
		return nil, problem.New(problem.MalformedJSON, "The body broke off.")
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	return text, nil
}

// wrongJSON says what is wrong with a text; "": nothing.
func wrongJSON(text []byte) string {
	if !utf8.Valid(text) {
		return "The body is no UTF-8."
	}
	if !json.Valid(text) {
		return "The body is no JSON."
	}
	if loneSurrogate(text) {
		return "A string has half a character (\\ud800 to \\udfff alone)."
	}
	d := json.NewDecoder(bytes.NewReader(text))
	var keys []map[string]bool // of the objects that are open; nil for a list
	key := false               // the next string is a key
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return ""
		}
		if err != nil {
			return "The body is no JSON."
		}
		switch t := token.(type) {
		case json.Delim:
			switch t {
			case '{', '[':
				if len(keys) == maxDepth {
					return "The body is nested too deep."
				}
				var names map[string]bool
				if t == '{' {
					names = map[string]bool{}
				}
				keys = append(keys, names)
			default:
				keys = keys[:len(keys)-1]
			}
		case string:
			if key {
				names := keys[len(keys)-1]
				if names[t] {
					return "The key " + t + " stands twice."
				}
				names[t], key = true, false
				continue
			}
		}
		key = len(keys) > 0 && keys[len(keys)-1] != nil
	}
}

// loneSurrogate looks for an escape of half a pair. The text is valid JSON.
func loneSurrogate(text []byte) bool {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if text[i+1] != 'u' {
			i++
			continue
		}
		first := hex4(text[i+2:])
		i += 5
		switch {
		case first >= 0xdc00 && first <= 0xdfff:
			return true
		case first < 0xd800 || first > 0xdbff:
			continue
		}
		if i+6 >= len(text) || text[i+1] != '\\' || text[i+2] != 'u' {
			return true
		}
		if second := hex4(text[i+3:]); second < 0xdc00 || second > 0xdfff {
			return true
		}
		i += 6
	}
	return false
}

func hex4(text []byte) int {
	n := 0
	for _, c := range text[:4] {
		digit := int(c | 0x20)
		if digit >= 'a' {
			digit -= 'a' - 10
		} else {
			digit -= '0'
		}
		n = n<<4 | digit
	}
	return n
}
