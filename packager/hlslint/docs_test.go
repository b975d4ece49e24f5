package hlslint

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRuleTableOfTheGuide keeps the table of docs/hlslint.md equal to the rules (rewritten by -update).
func TestRuleTableOfTheGuide(t *testing.T) {
	const begin, end = "<!-- rules: written by go test -run Guide -update -->\n", "<!-- end of rules -->"
	file := filepath.Join("..", "..", "docs", "hlslint.md")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(raw), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", file)
	}
	var b strings.Builder
	subject := Subject("")
	for _, r := range Rules() {
		if r.Subject != subject {
			subject = r.Subject
			fmt.Fprintf(&b, "\n### %s%s\n\n| rule | level | section | what holds |\n|---|---|---|---|\n", strings.ToUpper(string(subject[:1])), subject[1:])
		}
		level := string(r.Level)
		if r.Authoring {
			level += " (authoring)"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.ID, level, r.Section, strings.ReplaceAll(r.Text, "|", "\\|"))
	}
	want := head + begin + b.String() + "\n" + end + tail
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(raw) {
		t.Errorf("the table of %s is not that of the code: run with -update", file)
	}
}
