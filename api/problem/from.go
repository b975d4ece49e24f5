package problem

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mediad/store/db"
)

// From says in our words what a handler or huma itself returned. internal is the cause that belongs into the log and
// not to the caller, nil where there is none.
func From(err error) (p *Problem, internal error) { return from(err, places{}) }

func from(err error, at places) (p *Problem, internal error) {
	var ours *Problem
	var theirs *huma.ErrorModel
	switch {
	case errors.As(err, &ours):
		return ours, nil
	case errors.Is(err, context.DeadlineExceeded):
		return New(Timeout, "The answer took too long. Try again."), err
	case db.Unavailable(err):
		return New(Unavailable, "The database does not answer. Try again.").Retry(time.Second), err
	case errors.Is(err, db.ErrClosed):
		return New(TokenInvalid, "The account is closed."), nil
	case errors.Is(err, db.ErrInvalid):
		return New(InvalidParameter, "A value has characters that no text here can have."), nil
	case errors.As(err, &theirs) && theirs.Status < http.StatusInternalServerError:
		return fromHuma(theirs, at), nil
	}
	return New(Internal, "The server failed. The request id finds the cause in its log."), err
}

// fromHuma translates what huma found wrong with parameters.
func fromHuma(m *huma.ErrorModel, at places) *Problem {
	if m.Status == http.StatusRequestEntityTooLarge {
		return New(PayloadTooLarge, "The body is too large.")
	}
	if m.Status == http.StatusBadRequest && len(m.Errors) == 0 || m.Status == http.StatusBadRequest && strings.HasPrefix(m.Detail, "request body") {
		return New(MalformedJSON, "The request has no body; it needs one in JSON.")
	}
	p := New(ValidationFailed, "A value is not allowed; errors tells which.")
	for _, e := range m.Errors {
		if e != nil {
			p.Errors = append(p.Errors, fieldError(e, at))
		}
	}
	return p
}

func fieldError(e *huma.ErrorDetail, at places) Field {
	in, path, _ := strings.Cut(e.Location, ".")
	if in != "body" {
		at = places{}
		if path == "" {
			path = in
		}
	}
	where := at.inBody(path)
	if property, ok := strings.CutPrefix(e.Message, "expected required property "); ok {
		return Field{Pointer: where + "/" + escaped(strings.TrimSuffix(property, " to be present")), Message: e.Message, Code: "required"}
	}
	f := Field{Pointer: where, Message: e.Message, Code: "invalid_format"}
	// huma's messages are constants with the bound at the end; TestFieldCodes holds every one that a route can give.
	for _, c := range []struct {
		prefix, code string
		bound        func(*Field) **float64
	}{
		{"expected number >= ", "out_of_range", minOf}, {"expected number <= ", "out_of_range", maxOf},
		{"expected length >= ", "too_short", minOf}, {"expected length <= ", "too_long", maxOf},
		{"expected array length >= ", "too_short", minOf}, {"expected array length <= ", "too_long", maxOf},
		{"expected value to be one of", "invalid_enum", nil},
		{"required ", "required", nil}, {"unknown ", "unknown_field", nil}, {"unexpected property", "unknown_field", nil},
	} {
		rest, ok := strings.CutPrefix(e.Message, c.prefix)
		if !ok {
			continue
		}
		f.Code = c.code
		if n, err := strconv.ParseFloat(rest, 64); err == nil && c.bound != nil {
			*c.bound(&f) = &n
		}
		break
	}
	return f
}

func minOf(f *Field) **float64 { return &f.Min }
func maxOf(f *Field) **float64 { return &f.Max }
