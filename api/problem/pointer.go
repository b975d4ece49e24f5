package problem

import (
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// places turns huma's paths into JSON pointers (RFC 6901). A path is "links[0].url", where a dot may as well be one of a name, as in the keys of
// settings: the schema of the body tells.
type places struct {
	body     *huma.Schema // nil: a dot is never part of a name
	registry huma.Registry
}

// placesOf knows the names of an operation's body.
func placesOf(op *huma.Operation, registry huma.Registry) places {
	if op == nil || op.RequestBody == nil {
		return places{}
	}
	content := op.RequestBody.Content["application/json"]
	if content == nil {
		return places{}
	}
	return places{content.Schema, registry}
}

// inBody is the pointer to what is at a path of the body; "" is the body itself.
func (p places) inBody(path string) string {
	var b strings.Builder
	s := p.body
	for path != "" {
		s = p.resolved(s)
		if index, rest, ok := strings.Cut(strings.TrimPrefix(path, "["), "]"); ok && path[0] == '[' && number(index) {
			b.WriteString("/" + index)
			path = strings.TrimPrefix(rest, ".")
			if s != nil {
				s = s.Items
			}
			continue
		}
		name := p.first(s, path)
		b.WriteString("/" + escaped(name))
		path = strings.TrimPrefix(path[len(name):], ".")
		if s != nil {
			s = s.Properties[name]
		}
	}
	return b.String()
}

// first is the name that a path begins with: the longest that the schema has, and else what no schema has, which has nothing below it.
func (p places) first(s *huma.Schema, path string) string {
	if p.body == nil {
		if i := strings.IndexAny(path, ".["); i > 0 {
			return path[:i]
		}
		return path
	}
	if s == nil {
		return path
	}
	found := ""
	for name := range s.Properties {
		rest, ok := strings.CutPrefix(path, name)
		if ok && len(name) > len(found) && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			found = name
		}
	}
	if found == "" {
		return path
	}
	return found
}

func (p places) resolved(s *huma.Schema) *huma.Schema {
	for s != nil && s.Ref != "" {
		s = p.registry.SchemaFromRef(s.Ref)
	}
	return s
}

func number(s string) bool {
	_, err := strconv.ParseUint(s, 10, 32)
	return err == nil
}

// escaped is a name as a part of a pointer.
func escaped(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }
