package account

import (
	"errors"
	"strings"

	"mediad/api/problem"
)

// bound is nil where there is none.
func bound(n int) *float64 {
	if n <= 0 {
		return nil
	}
	b := float64(n)
	return &b
}

// Refusal says in the API's words what this package refused; other errors it returns as they are.
func Refusal(err error) error {
	var bad *Invalid
	if errors.As(err, &bad) {
		p := problem.New(problem.ValidationFailed, "A value is not allowed; errors tells which.")
		for _, f := range bad.Fields {
			field := problem.Field{Pointer: "/" + f.Name, Code: f.Code, Message: f.Message}
			field.Min, field.Max = bound(f.Min), bound(f.Max)
			p.Errors = append(p.Errors, field)
		}
		return p
	}
	for _, one := range []struct {
		err        error
		code       problem.Code
		name, what string // of the field, where it is one
	}{
		{ErrUsername, problem.ValidationFailed, "username", "invalid_format"}, {ErrWeakPassword, problem.ValidationFailed, "password", "weak_password"},
		{ErrEmail, problem.ValidationFailed, "email", "invalid_format"},
		{ErrUsernameTaken, problem.UsernameTaken, "", ""}, {ErrEmailTaken, problem.EmailTaken, "", ""},
		{ErrNotFound, problem.NotFound, "", ""}, {ErrVersion, problem.VersionMismatch, "", ""},
		{ErrLastAdmin, problem.LastAdmin, "", ""}, {ErrRole, problem.ValidationFailed, "role", "invalid_enum"},
	} {
		if !errors.Is(err, one.err) {
			continue
		}
		sentence := strings.ToUpper(one.err.Error()[:1]) + one.err.Error()[1:] + "."
		if one.name == "" {
			return problem.New(one.code, sentence)
		}
		p := problem.New(one.code, "A value is not allowed; errors tells which.")
		p.Errors = []problem.Field{{Pointer: "/" + one.name, Code: one.what, Message: sentence}}
		return p
	}
	return err
}
