package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/account"
	"mediad/api/apitest"
	"mediad/api/openapi"
	"mediad/store/db"
)

// operation is one of the document, as a client reads it.
type operation struct {
	ID, Method, Path string
	Params           []param
	Body             schema // nil: none
	Types            []string
}

type param struct {
	Name, In string
	Schema   schema
	Required bool
}

type schema map[string]any

// schemas are the document's, by name.
func schemas(t testing.TB) map[string]schema {
	t.Helper()
	var doc struct {
		Components struct{ Schemas map[string]schema }
	}
	require.NoError(t, json.Unmarshal(openapi.Document, &doc))
	return doc.Components.Schemas
}

// operations are those of the document, in order.
func operations(t testing.TB) []operation {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string
			Parameters  []param
			RequestBody struct {
				Content map[string]struct{ Schema schema }
			}
		}
	}
	require.NoError(t, json.Unmarshal(openapi.Document, &doc))
	var all []operation
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			op := doc.Paths[path][method]
			one := operation{ID: op.OperationID, Method: strings.ToUpper(method), Path: path, Params: op.Parameters}
			one.Types = slices.Sorted(maps.Keys(op.RequestBody.Content))
			if content, ok := op.RequestBody.Content["application/json"]; ok {
				one.Body = content.Schema
			}
			all = append(all, one)
		}
	}
	return all
}

// reader resolves what schemas refer to.
type reader struct{ named map[string]schema }

func (r reader) resolve(s schema) schema {
	if ref, ok := s["$ref"].(string); ok {
		return r.named[strings.TrimPrefix(ref, "#/components/schemas/")]
	}
	return s
}

func (r reader) properties(s schema) map[string]schema {
	props, _ := r.resolve(s)["properties"].(map[string]any)
	all := make(map[string]schema, len(props))
	for name, p := range props {
		if one, ok := p.(map[string]any); ok {
			all[name] = one
		}
	}
	return all
}

func (r reader) is(s schema, kind string) bool {
	switch t := r.resolve(s)["type"].(type) {
	case string:
		return t == kind
	case []any:
		return slices.Contains(t, any(kind))
	}
	return false
}

func (r reader) required(s schema) []string {
	list, _ := r.resolve(s)["required"].([]any)
	names := make([]string, len(list))
	for i, name := range list {
		names[i], _ = name.(string)
	}
	return names
}

// sample is a value that the schema allows: its example, or what is needed of it.
func (r reader) sample(s schema) any {
	s = r.resolve(s)
	if examples, ok := s["examples"].([]any); ok && len(examples) > 0 {
		return examples[0]
	}
	switch {
	case r.is(s, "object"):
		return r.least(s)
	case r.is(s, "array"):
		items, _ := s["items"].(map[string]any)
		return []any{r.sample(items)}
	case r.is(s, "integer"), r.is(s, "number"):
		return 1
	case r.is(s, "boolean"):
		return false
	}
	return "x"
}

// least is an object with nothing but what it needs.
func (r reader) least(s schema) map[string]any {
	out := map[string]any{}
	props := r.properties(s)
	for _, name := range r.required(s) {
		out[name] = r.sample(props[name])
	}
	return out
}

// placeholder stands in a body where a test puts what it tries.
const placeholder = "@@here@@"

// place is one spot of an operation where a string goes.
type place struct {
	op    operation
	name  string // of the parameter, or the JSON pointer in the body
	in    string // path, query, header, cookie, body
	body  string // with the placeholder in it
	param param
}

// places are all spots of an operation for strings.
func (r reader) places(op operation) []place {
	var all []place
	text := ""
	if op.Body != nil {
		text = toText(r.least(op.Body))
	}
	for _, p := range op.Params {
		all = append(all, place{op: op, name: p.Name, in: p.In, param: p, body: text})
	}
	if op.Body == nil {
		return all
	}
	var into func(s schema, at string, wrap func(any) any)
	into = func(s schema, at string, wrap func(any) any) {
		s = r.resolve(s)
		if r.is(s, "string") {
			all = append(all, place{op: op, name: at, in: "body", body: toText(wrap(placeholder))})
		}
		if r.is(s, "array") {
			items, _ := s["items"].(map[string]any)
			into(items, at+"/0", func(v any) any { return wrap([]any{v}) })
		}
		for name, p := range r.properties(s) {
			into(p, at+"/"+name, func(v any) any {
				object := r.least(s)
				object[name] = v
				return wrap(object)
			})
		}
	}
	into(op.Body, "", func(v any) any { return v })
	slices.SortStableFunc(all, func(a, b place) int { return strings.Compare(a.in+a.name, b.in+b.name) })
	return all
}

func toText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // it was read from JSON
	}
	return string(text)
}

// spelling is a string in each of the ways in which it is sent.
type spelling struct{ plain, json, query string }

func spelled(s string) spelling { return spelling{s, toText(s), url.QueryEscape(s)} }

var templateParameter = regexp.MustCompile(`\{[a-z_]+\}`)

// walker calls every operation as somebody who may call them all.
type walker struct {
	client
	reader
	t      *testing.T
	admins int
	who    session
	values map[string]string // of path parameters
	spent  bool              // the last call may have ended what the next one needs
}

func newWalker(t *testing.T) *walker {
	t.Helper()
	s := newSite(t, db.Options{})
	c := s.client(t)
	c.register("carl")
	c.register("dora")
	w := &walker{t: t, client: c, reader: reader{schemas(t)}, who: s.staff(t, c, "eve_admin", account.Admin), spent: true}
	w.values = map[string]string{"{user}": "@carl", "{other}": "@dora", "{id}": "0198f2a0-0000-7000-8000-0000000000ff", "{key_id}": "0198f2a0-0000-7000-8000-0000000000fe"}
	return w
}

// ready makes up for what the last call ended: the caller's session, the stream that paths name.
func (w *walker) ready() {
	if !w.spent {
		return
	}
	w.spent = false
	if apitest.Do(w.t, w.h, apitest.Scenario{Path: "/api/v1/me", Token: w.who.Access}).Code != 200 {
		// Whoever it was may have left, or have to wait before the next try at the password: another admin goes on.
		w.admins++
		w.who = w.s.staff(w.t, w.client, fmt.Sprintf("eve_%d", w.admins), account.Admin)
	}
	if slug := w.values["{stream}"]; slug == "" || apitest.Do(w.t, w.h, apitest.Scenario{Path: "/api/v1/streams/" + slug, Token: w.who.Access}).Code != 200 {
		w.values["{stream}"] = w.stream(w.who.Access, `{"title":"walked over"}`).Slug
	}
}

// path fills in a template.
func (w *walker) path(template string) string {
	return templateParameter.ReplaceAllStringFunc(template, func(name string) string {
		if value, known := w.values[name]; known {
			return value
		}
		return w.values["{id}"]
	})
}

// call sends the operation with the string in its place, and holds the answer to the document.
func (w *walker) call(p place, value spelling) *apitest.Answer {
	w.t.Helper()
	w.ready()
	sc := apitest.Scenario{Method: p.op.Method, Token: w.who.Access, Headers: map[string]string{}}
	sc.Body = strings.ReplaceAll(p.body, `"`+placeholder+`"`, value.json)
	template, query := p.op.Path, url.Values{}
	for _, q := range p.op.Params {
		if q.In == "query" && q.Required && q.Name != p.name {
			text, _ := w.sample(q.Schema).(string)
			query.Set(q.Name, text)
		}
	}
	raw := query.Encode()
	switch p.in {
	case "path":
		template = strings.ReplaceAll(template, "{"+p.name+"}", strings.ReplaceAll(value.query, "+", "%20"))
	case "query":
		raw = strings.TrimPrefix(raw+"&"+p.name+"="+value.query, "&")
	case "header":
		sc.Headers[p.name] = value.plain
	case "cookie":
		sc.Headers["Cookie"] = p.name + "=" + value.query
	}
	sc.Path = w.path(template)
	if raw != "" {
		sc.Path += "?" + raw
	}
	a := apitest.Do(w.t, w.h, sc)
	w.spent = a.Code == 401 || a.Code < 300 && sc.Method != http.MethodGet
	if p.in != "path" { // another path may be another operation's
		w.doc.Check(w.t, sc.Method, a)
	}
	return a
}

// life is everything that a user sees of their own.
func (w *walker) life(one session) string {
	var all strings.Builder
	for _, path := range []string{"/api/v1/me", "/api/v1/me/streams", "/api/v1/me/api-tokens", "/api/v1/auth/sessions", "/api/v1/me/blocks", "/api/v1/users/@vera/followers"} {
		a := apitest.Do(w.t, w.h, apitest.Scenario{Path: path, Token: one.Access})
		assert.Equal(w.t, 200, a.Code, "%s: %s", path, a.Body)
		all.WriteString(a.Body.String())
	}
	return all.String()
}
