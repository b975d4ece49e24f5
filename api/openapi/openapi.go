// Package openapi holds the OpenAPI document of this version of the API, as it is served: for review, and for the
// types of the web pages. A test of package api rewrites it with -update and otherwise holds it to be current.
package openapi

import _ "embed"

// Document is openapi.json.
//
//go:embed openapi.json
var Document []byte
