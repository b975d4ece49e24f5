package system

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Paths of the document and of the page.
const (
	DocumentPath = "/api/v1/openapi.json"
	PagePath     = "/api/docs"
)

// Complete ends the registering: it adds the document's own two routes. It is called before the first request, which reads the document too.
func Complete(doc *huma.OpenAPI) {
	// huma registers its own form of errors, which no route answers.
	delete(doc.Components.Schemas.Map(), "ErrorModel")
	delete(doc.Components.Schemas.Map(), "ErrorDetail")
	for _, r := range []struct{ path, id, summary, mediaType string }{
		{DocumentPath, "getOpenAPI", "This document", "application/json"},
		{PagePath, "getDocs", "This document as a page", "text/html"},
	} {
		doc.AddOperation(&huma.Operation{
			OperationID: r.id, Method: http.MethodGet, Path: r.path, Tags: []string{"system"}, Summary: r.summary,
			Responses: map[string]*huma.Response{"200": {
				Description: "OK", Content: map[string]*huma.MediaType{r.mediaType: {Schema: &huma.Schema{}}},
			}},
		})
	}
}

// Document writes the OpenAPI document, which is complete.
func Document(doc *huma.OpenAPI) ([]byte, error) {
	compact, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, compact, "", "  "); err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

//go:embed docs.html
var pageSource string

//go:embed docs.css
var pageStyle string

// Page renders the document for people, and the Content-Security-Policy that lets its style through and nothing else.
func Page(doc *huma.OpenAPI) (page []byte, policy string, err error) {
	t, err := template.New("docs").Parse(pageSource)
	if err != nil {
		return nil, "", fmt.Errorf("docs page: %w", err)
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{
		"Title": doc.Info.Title, "Version": doc.Info.Version, "Document": DocumentPath, "Routes": routes(doc),
		"Style": template.CSS(pageStyle), // ours, embedded
	})
	if err != nil {
		return nil, "", fmt.Errorf("docs page: %w", err)
	}
	sum := sha256.Sum256([]byte(pageStyle))
	policy = "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return b.Bytes(), policy, nil
}

// route is an operation as the page shows it.
type route struct {
	Method, Path, ID, Summary, Description string
	Parameters                             []parameter
	Answers                                []answer
}

type parameter struct{ Name, In, Type, Rule, Description string }

type answer struct{ Status, Description, Body string }

func routes(doc *huma.OpenAPI) []route {
	var all []route
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		item := doc.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op != nil {
				all = append(all, describe(op))
			}
		}
	}
	return all
}

func describe(op *huma.Operation) route {
	r := route{Method: op.Method, Path: op.Path, ID: op.OperationID, Summary: op.Summary, Description: op.Description}
	for _, p := range op.Parameters {
		r.Parameters = append(r.Parameters, parameter{
			Name: p.Name, In: p.In, Type: p.Schema.Type, Rule: rule(p.Schema), Description: p.Description,
		})
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		response := op.Responses[status]
		a := answer{Status: status, Description: response.Description}
		for _, content := range response.Content {
			if content.Schema != nil {
				a.Body = strings.TrimPrefix(content.Schema.Ref, "#/components/schemas/")
			}
		}
		r.Answers = append(r.Answers, a)
	}
	return r
}

// rule tells in words what a parameter may be.
func rule(s *huma.Schema) string {
	var parts []string
	if len(s.Enum) > 0 {
		words := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			words[i] = fmt.Sprint(v)
		}
		parts = append(parts, strings.Join(words, " | "))
	}
	if s.Minimum != nil && s.Maximum != nil {
		parts = append(parts, fmt.Sprintf("%g to %g", *s.Minimum, *s.Maximum))
	}
	if s.MaxLength != nil {
		parts = append(parts, fmt.Sprintf("at most %d characters", *s.MaxLength))
	}
	if s.Default != nil {
		parts = append(parts, fmt.Sprintf("default %v", s.Default))
	}
	return strings.Join(parts, "; ")
}
