// Package patch reads JSON merge patches (RFC 7396), in which an absent field, null and a value are three different things.
package patch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// Field is a field of a patch. Absent: it stays. Null: it is cleared.
type Field[T any] struct {
	Present, Null bool
	Value         T
}

// UnmarshalJSON implements json.Unmarshaler. It is not called for what is absent.
func (f *Field[T]) UnmarshalJSON(text []byte) error {
	f.Present = true
	if bytes.Equal(bytes.TrimSpace(text), []byte("null")) {
		f.Null = true
		return nil
	}
	if err := json.Unmarshal(text, &f.Value); err != nil {
		return fmt.Errorf("patch: %w", err)
	}
	return nil
}

// Schema implements huma.SchemaProvider: that of the value, or null.
func (f Field[T]) Schema(r huma.Registry) *huma.Schema {
	s := *huma.SchemaFromType(r, reflect.TypeFor[T]())
	s.Nullable = true
	return &s
}

// Apply sets to to what the patch has: cleared where it is null.
func (f Field[T]) Apply(to *T) {
	if f.Present {
		var cleared T
		*to = cleared
		if !f.Null {
			*to = f.Value
		}
	}
}

// ApplyPtr is Apply for a value that may be absent.
func (f Field[T]) ApplyPtr(to **T) {
	switch {
	case !f.Present:
	case f.Null:
		*to = nil
	default:
		value := f.Value
		*to = &value
	}
}
