package api

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestWrongJSON(t *testing.T) {
	deep := strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)
	for text, right := range map[string]bool{
		`{}`: true, `null`: true, ` [1, {"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}] `: true, `{"a":"a","b":"a"}`: true, deep: true, `"\ud83d\ude00"`: true, `"\\ud800"`: true,
		`{"a":1,"a":2}`: false, `{"a":{"b":1,"c":[],"b":2}}`: false, `{"a":1,"\u0061":2}`: false, `[` + deep + `]`: false, `{} {}`: false, `{"a":1,}`: false, `{`: false,
		"\"\xff\"": false, `"\ud800"`: false, `"\udc00"`: false, `"\ud800\u0041"`: false, `"\ud800\ud800"`: false, `"\ud800x"`: false, `NaN`: false, ``: false,
	} {
		if detail := wrongJSON([]byte(text)); (detail == "") != right {
			t.Errorf("%s: %q", text, detail)
		}
	}
}

// FuzzWrongJSON holds what is let through to what it promises: it can be read, and every string survives.
func FuzzWrongJSON(f *testing.F) {
	for _, text := range []string{`{"a":[1,"\ud83d\ude00",{"b":null}]}`, `{"a":1,"a":2}`, `"\ud800"`, `{"a":"\\u"}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if wrongJSON(text) != "" {
			return
		}
		var v any
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		invented := strings.Contains(string(again), "\ufffd") && !strings.Contains(string(text), "\ufffd") && !strings.Contains(strings.ToLower(string(text)), `\ufffd`)
		if invented {
			t.Fatalf("%q became %q", text, again)
		}
	})
}
