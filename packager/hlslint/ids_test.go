package hlslint

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestRuleNamesInTheCodeAreTheTables reads the sources: every string that looks like a rule and is handed to a
// finding or a fault is in the tables, and every rule of the tables is found by some check.
func TestRuleNamesInTheCodeAreTheTables(t *testing.T) {
	known := map[string]bool{}
	form := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	for _, r := range Rules() {
		if known[r.ID] {
			t.Errorf("%s stands twice", r.ID)
		}
		known[r.ID] = true
		if !form.MatchString(r.ID) || r.Text == "" || r.Section == "" || r.Subject == "" || !strings.HasSuffix(r.Text, ".") {
			t.Errorf("%+v is not complete", r)
		}
		if r.Authoring && r.Level != Should {
			t.Errorf("%s: rules on content are SHOULD", r.ID)
		}
	}
	used := map[string]bool{}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") || strings.HasPrefix(f.Name(), "rules_") {
			continue
		}
		tree, err := goparser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			name := ""
			switch fn := call.Fun.(type) {
			case *ast.Ident:
				name = fn.Name
			case *ast.SelectorExpr:
				name = fn.Sel.Name
			}
			lit, ok := call.Args[0].(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING || name != "find" && name != "fault" && name != "add" {
				return true
			}
			id, _ := strconv.Unquote(lit.Value)
			used[id] = true
			if !known[id] {
				t.Errorf("%s: no rule is called %q", f.Name(), id)
			}
			return true
		})
	}
	for id := range known {
		if !used[id] {
			t.Errorf("no check finds %s", id)
		}
	}
}
