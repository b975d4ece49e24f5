package problem

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// everywhere are the codes that any route can answer.
func everywhere() []Code {
	return []Code{
		InvalidParameter, TokenExpired, TokenInvalid, SignatureInvalid, SignatureExpired, NonceReused, AccountSuspended, PasswordChangeRequired, RateLimited,
		PayloadTooLarge, Internal, Unavailable, Timeout,
	}
}

// Document adds to an operation of the OpenAPI document what it answers when it refuses: codes are its own, beside
// those of every route.
func Document(api huma.API, op huma.Operation, codes ...Code) huma.Operation {
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	byStatus := map[int][]string{}
	for _, code := range append(everywhere(), codes...) {
		status := meanings()[code].status
		if !slices.Contains(byStatus[status], string(code)) {
			byStatus[status] = append(byStatus[status], string(code))
		}
	}
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	for status, names := range byStatus {
		slices.Sort(names)
		list := make([]any, len(names))
		for i, name := range names {
			list[i] = name
		}
		response := &huma.Response{
			Description: http.StatusText(status) + ": " + strings.Join(names, ", "),
			Content:     map[string]*huma.MediaType{MediaType: {Schema: schema}},
			Extensions:  map[string]any{"x-problem-codes": list},
		}
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			response.Headers = map[string]*huma.Header{"Retry-After": {
				Description: "Seconds", Schema: &huma.Schema{Type: huma.TypeInteger},
			}}
		}
		op.Responses[strconv.Itoa(status)] = response
	}
	if op.Method != http.MethodGet {
		return op
	}
	op.Responses[strconv.Itoa(http.StatusNotModified)] = &huma.Response{Description: "Not Modified: If-None-Match holds the ETag"}
	return op
}

// Add adds codes to an operation that Document has been over.
func Add(op *huma.Operation, codes ...Code) {
	for _, code := range codes {
		status := meanings()[code].status
		old := op.Responses[strconv.Itoa(status)]
		var names []any
		if old != nil {
			names, _ = old.Extensions["x-problem-codes"].([]any)
		}
		if slices.Contains(names, any(string(code))) {
			continue
		}
		names = append(slices.Clone(names), string(code))
		slices.SortFunc(names, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		text := make([]string, len(names))
		for i, name := range names {
			text[i] = name.(string)
		}
		response := &huma.Response{Content: op.Responses[strconv.Itoa(http.StatusInternalServerError)].Content}
		if old != nil {
			c := *old
			response = &c
		}
		response.Description = http.StatusText(status) + ": " + strings.Join(text, ", ")
		response.Extensions = map[string]any{"x-problem-codes": names}
		op.Responses[strconv.Itoa(status)] = response
	}
}
