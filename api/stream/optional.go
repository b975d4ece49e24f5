package stream

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// optionalBool is a query parameter that knows whether it was given.
type optionalBool struct {
	Value bool
	given bool
}

var (
	_ huma.ParamWrapper = (*optionalBool)(nil)
	_ huma.ParamReactor = (*optionalBool)(nil)
)

// Receiver tells huma where the value goes.
func (o *optionalBool) Receiver() reflect.Value { return reflect.ValueOf(&o.Value).Elem() }

// OnParamSet is called by huma once it has read the parameter.
func (o *optionalBool) OnParamSet(given bool, _ any) { o.given = given }

// Schema is that of a plain boolean.
func (o optionalBool) Schema(r huma.Registry) *huma.Schema {
	return huma.SchemaFromType(r, reflect.TypeFor[bool]())
}

func (o optionalBool) value() *bool {
	if !o.given {
		return nil
	}
	return &o.Value
}
