package apitest

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Document is the OpenAPI document as a client sees it: parsed from its bytes, not taken from the program's types.
type Document struct {
	root  map[string]any
	paths map[string]*regexp.Regexp // by template
}

// Load fetches the document.
func Load(t testing.TB, h http.Handler) Document {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/openapi.json", http.NoBody)
	r.RemoteAddr = "[2001:db8:ffff::1]:1" // not the address whose calls a test counts
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
	var d Document
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &d.root))
	d.paths = map[string]*regexp.Regexp{}
	for template := range object(d.root["paths"]) {
		d.paths[template] = regexp.MustCompile("^" + parameter.ReplaceAllString(regexp.QuoteMeta(template), "[^/]+") + "$")
	}
	return d
}

// Check fails the test if the answer is not as the document says.
func (d Document) Check(t testing.TB, method string, answer *Answer) {
	t.Helper()
	assert.NotEmpty(t, answer.Header().Get("X-Request-Id"))
	if answer.Code >= 400 {
		d.checkProblem(t, method, answer)
	}
	operation := d.operation(method, answer.Path)
	if operation == nil {
		return // refused before any operation was reached, or without a body
	}
	response, documented := object(operation["responses"])[strconv.Itoa(answer.Code)]
	if !assert.True(t, documented, "status %d of %s is not in the document", answer.Code, answer.Path) {
		return
	}
	contents := object(object(response)["content"])
	if len(contents) == 0 {
		assert.Empty(t, answer.Body.String())
		return
	}
	mediaType, _, err := mime.ParseMediaType(answer.Header().Get("Content-Type"))
	require.NoError(t, err)
	content, documented := contents[mediaType]
	if !assert.True(t, documented, "media type %s of %s is not in the document", mediaType, answer.Path) || mediaType == "text/html" || mediaType == "application/x-ndjson" {
		return
	}
	var body any
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &body), "%s", answer.Body)
	for _, fault := range d.faults(object(object(content)["schema"]), body, "") {
		t.Errorf("%s %d: %s", answer.Path, answer.Code, fault)
	}
}

// checkProblem holds refusals to the form that all of them have, on undocumented routes too.
func (d Document) checkProblem(t testing.TB, method string, answer *Answer) {
	t.Helper()
	assert.Equal(t, "application/problem+json", answer.Header().Get("Content-Type"))
	assert.Equal(t, "no-store", answer.Header().Get("Cache-Control"))
	if method == http.MethodHead {
		return
	}
	var p struct {
		Code, Type string
		Status     int
		RequestID  string `json:"request_id"`
	}
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &p), "%s", answer.Body)
	assert.Equal(t, answer.Code, p.Status)
	assert.Equal(t, "urn:mediad:problem:"+p.Code, p.Type)
	assert.Equal(t, answer.Header().Get("X-Request-Id"), p.RequestID)
	schema := object(object(object(d.root["components"])["schemas"])["Problem"])
	var body any
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &body))
	assert.Empty(t, d.faults(schema, body, ""))
}

// parameter is one of a path's template, quoted.
var parameter = regexp.MustCompile(`\\\{[a-z_]+\\\}`)

// operation finds the operation of the path's template. That of HEAD is none: it has no body.
func (d Document) operation(method, path string) map[string]any {
	for template, item := range object(d.root["paths"]) {
		if d.paths[template].MatchString(path) {
			return object(object(item)[strings.ToLower(method)])
		}
	}
	return nil
}

// faults lists where a value breaks a schema. It knows the words that our document uses, and calls any other a fault, so
// that none is passed over.
func (d Document) faults(schema map[string]any, value any, at string) []string {
	var found []string
	fault := func(text string) { found = append(found, at+": "+text) }
	for word, arg := range schema {
		switch word {
		case "$ref":
			name := strings.TrimPrefix(arg.(string), "#/components/schemas/")
			found = append(found, d.faults(object(object(object(d.root["components"])["schemas"])[name]), value, at)...)
		case "type":
			if !hasType(arg, value) {
				fault("is no " + toJSON(arg) + ": " + toJSON(value))
			}
		case "properties":
			found = append(found, d.propertyFaults(object(arg), value, at)...)
		case "additionalProperties":
			found = append(found, extraFaults(arg, object(schema["properties"]), value, at)...)
		case "required":
			fields, isObject := value.(map[string]any) // it says nothing about other values
			for _, name := range arg.([]any) {
				if _, there := fields[name.(string)]; isObject && !there {
					fault("lacks " + name.(string))
				}
			}
		case "items":
			list, _ := value.([]any)
			for i, item := range list {
				found = append(found, d.faults(object(arg), item, at+"/"+strconv.Itoa(i))...)
			}
		case "enum":
			if !contains(arg, value) {
				fault("is none of " + toJSON(arg))
			}
		case "minimum", "maximum", "pattern", "format":
			if !obeys(word, arg, value) {
				fault(word + " " + toJSON(arg) + " is broken by " + toJSON(value))
			}
		case "description", "examples", "example", "default":
		default:
			fault("the document uses " + word + ", which this check does not know")
		}
	}
	return found
}

func (d Document) propertyFaults(properties map[string]any, value any, at string) []string {
	var found []string
	for name, inner := range object(value) {
		if schema, known := properties[name]; known {
			found = append(found, d.faults(object(schema), inner, at+"/"+name)...)
		}
	}
	return found
}

func extraFaults(allowed any, properties map[string]any, value any, at string) []string {
	if allowed != false {
		return nil
	}
	var found []string
	for name := range object(value) {
		if _, known := properties[name]; !known {
			found = append(found, at+": has "+name+", which is not in the document")
		}
	}
	return found
}

func hasType(allowed, value any) bool {
	if list, ok := allowed.([]any); ok {
		for _, one := range list {
			if hasType(one, value) {
				return true
			}
		}
		return false
	}
	switch v := value.(type) {
	case nil:
		return allowed == "null"
	case bool:
		return allowed == "boolean"
	case string:
		return allowed == "string"
	case float64:
		return allowed == "number" || allowed == "integer" && v == float64(int64(v))
	case []any:
		return allowed == "array"
	case map[string]any:
		return allowed == "object"
	}
	return false
}

// obeys checks the words that bound a number or a string; they say nothing about other values.
func obeys(word string, arg, value any) bool {
	number, isNumber := value.(float64)
	text, isText := value.(string)
	switch {
	case word == "minimum" && isNumber:
		return number >= arg.(float64)
	case word == "maximum" && isNumber:
		return number <= arg.(float64)
	case word == "pattern" && isText:
		return regexp.MustCompile(arg.(string)).MatchString(text)
	case word == "format" && isText && arg == "date-time":
		_, err := time.Parse("2006-01-02T15:04:05.000Z", text)
		return err == nil
	case word == "format" && isText && arg == "uuid":
		return regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(text)
	}
	return true
}

func contains(list, value any) bool {
	for _, one := range list.([]any) {
		if one == value {
			return true
		}
	}
	return false
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
