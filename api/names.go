package api

import (
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// schemaName names a Go type in the document: stream.Body is Stream, stream.PlaybackBody StreamPlayback, and types of
// problem keep their names.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := huma.DefaultSchemaNamer(t, hint)
	_, pkg, _ := strings.Cut(t.PkgPath(), "mediad/api/")
	base, isBody := strings.CutSuffix(name, "Body")
	switch {
	case !isBody && name != "Field" && name != "Features":
		return name
	case pkg == "system":
		return "Site" + base
	case pkg == "problem":
		return "Problem" + name
	}
	return strings.ToUpper(pkg[:1]) + pkg[1:] + base
}
