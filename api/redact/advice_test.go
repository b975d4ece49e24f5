package redact_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/redact"
)

// TestWhatTheAPISaysIsNotMasked: problems pass the redactor, which took "Authorization: Bearer." in the advice to sign in for a token. So every
// sentence that stands in the API's code is put to it.
func TestWhatTheAPISaysIsNotMasked(t *testing.T) {
	assert.NotEqual(t, "Send it as Authorization: Bearer.", redact.Text("Send it as Authorization: Bearer."), "the mask that is meant")
	sentences := 0
	require.NoError(t, filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			for _, argument := range call.Args {
				literal, ok := argument.(*ast.BasicLit)
				if !ok || literal.Kind != token.STRING {
					continue
				}
				text, err := strconv.Unquote(literal.Value)
				require.NoError(t, err)
				if strings.Count(text, " ") < 2 || strings.HasPrefix(text, "\n") {
					continue
				}
				sentences++
				assert.Equal(t, text, redact.Text(text), path)
			}
			return true
		})
		return nil
	}))
	require.Greater(t, sentences, 200)
}
