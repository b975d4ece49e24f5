// Package arch holds the project's import rules as a test.
package arch

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rules say what a package and everything below it may import of ours. The longest matching prefix rules.
var rules = []struct {
	from   string
	may    []string
	reason string
}{
	{"mediad/media", []string{"mediad/media"}, "the words of the field know nobody"},
	{"mediad/live", []string{"mediad/media", "mediad/live"}, "what is on air knows neither who sends nor who takes"},
	{"mediad/ingest/firewall", []string{"mediad/media"}, "the firewall is a pure function of timestamps"},
	{"mediad/ingest", []string{"mediad/media", "mediad/live", "mediad/ingest"}, "front ends know live alone; siblings never import each other"},
	{"mediad/ingest/whip", []string{"mediad/media", "mediad/live", "mediad/ingest", "mediad/internal/rtc"}, "WHIP and WHEP share one port for ICE"},
	{"mediad/egress/whep", []string{"mediad/media", "mediad/live", "mediad/internal/rtc"}, "WHIP and WHEP share one port for ICE"},
	{"mediad/egress/rtsp", []string{"mediad/media", "mediad/live", "mediad/egress", "mediad/ingest/rtsp"}, "ingest owns the port and the contract with who plays"},
	{"mediad/egress/srt", []string{"mediad/media", "mediad/live", "mediad/egress", "mediad/ingest/srt"}, "ingest owns the port and the contract with who plays"},
	{"mediad/egress", []string{"mediad/media", "mediad/live", "mediad/egress"}, "what leaves knows live alone"},
	{"mediad/transcode", []string{"mediad/media", "mediad/live", "mediad/transcode", "mediad/configs/ladders", "mediad/store/blob"}, "who encodes does not know who packages"},
	{"mediad/packager/cut", []string{"mediad/media"}, "cutting is pure"},
	{"mediad/packager/cmaf", []string{"mediad/media"}, "writing boxes is pure"},
	{"mediad/packager/playlist", []string{"mediad/media"}, "rendering playlists is pure"},
	{"mediad/packager/hlslint", nil, "the judge must not share the writer's mistakes"},
	{"mediad/packager/origin", []string{"mediad/media", "mediad/packager/playlist", "mediad/store/blob"}, "the origin sees what was published, not how"},
	{"mediad/packager/edge", []string{"mediad/media", "mediad/packager/playlist"}, "an edge knows an origin by its answers alone"},
	{"mediad/packager/replay", []string{"mediad/media", "mediad/packager/playlist"}, "a replay refers to what was published"},
	{"mediad/packager/clip", []string{"mediad/media", "mediad/packager/cmaf", "mediad/packager/replay"}, "a clip is made of what was published; who encodes is handed in"},
	{"mediad/packager", []string{"mediad/media", "mediad/live", "mediad/packager/cut", "mediad/packager/cmaf", "mediad/packager/playlist", "mediad/store/blob"}, "HTTP is in origin alone"},
	{"mediad/store/blob", []string{"mediad/store/blob"}, "the contract and its stores are leaves"},
	{"mediad/store/bus", nil, "the contract is a leaf"},
	{"mediad/store/presence", nil, "the contract is a leaf"},
	{"mediad/store/job", nil, "the contract is a leaf"},
	{"mediad/store/sweep", nil, "a loop is a leaf"},
	{"mediad/store/redis", []string{"mediad/store/bus", "mediad/store/presence"}, "what is shared knows the contracts alone"},
	{"mediad/store", []string{"mediad/store"}, "rows know neither the API nor what is on air"},
	{"mediad/api", []string{"mediad/api", "mediad/store/db", "mediad/store/event", "mediad/store/job", "mediad/store/presence", "mediad/store/seal", "mediad/store/sweep"}, "platform and media path meet in cmd alone"},
	{"mediad/configs", []string{"mediad/configs"}, "everything else is handed its values"},
	{"mediad/web", []string{"mediad/web"}, "the page is files"},
}

// TestImportsPointDown walks every package's direct imports.
func TestImportsPointDown(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}}: {{join .Imports \" \"}}", "mediad/...").CombinedOutput()
	require.NoError(t, err, string(out))
	for line := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
		from, imports, _ := strings.Cut(line, ": ")
		if strings.HasSuffix(from, "test") || strings.HasPrefix(from, "mediad/internal/") || strings.HasPrefix(from, "mediad/cmd/") {
			continue
		}
		may, reason := allowed(from)
		for path := range strings.FieldsSeq(imports) {
			if strings.HasPrefix(path, "mediad/") && !below(path, may) {
				t.Errorf("%s imports %s: %s", from, path, reason)
			}
		}
	}
}

// TestFrontEndsAreStrangers: what two protocols share is in ingest itself.
func TestFrontEndsAreStrangers(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}}: {{join .Imports \" \"}}", "mediad/ingest/...").CombinedOutput()
	require.NoError(t, err, string(out))
	for line := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
		from, imports, _ := strings.Cut(line, ": ")
		if strings.HasSuffix(from, "test") {
			continue
		}
		for path := range strings.FieldsSeq(imports) {
			if strings.HasPrefix(path, "mediad/ingest/") && path != "mediad/ingest/firewall" && !strings.HasPrefix(path, from+"/") {
				t.Errorf("%s imports its sibling %s", from, path)
			}
		}
	}
}

func allowed(from string) (may []string, reason string) {
	best := ""
	for _, r := range rules {
		if below(from, []string{r.from}) && len(r.from) > len(best) {
			best, may, reason = r.from, r.may, r.reason
		}
	}
	return may, reason
}

func below(path string, prefixes []string) bool {
	for _, p := range prefixes {
		if path == p || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return false
}

// TestNoticesNameWhatIsLinked: THIRD_PARTY.md lists every module of the binary at the version that is linked.
func TestNoticesNameWhatIsLinked(t *testing.T) {
	notices, err := os.ReadFile("../../THIRD_PARTY.md")
	require.NoError(t, err)
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} | {{.Version}}{{end}}{{end}}", "mediad/cmd/mediad").CombinedOutput()
	require.NoError(t, err, string(out))
	for line := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
		if line != "" && !strings.Contains(string(notices), "| "+line+" |") {
			t.Fatalf("THIRD_PARTY.md does not list %s: run make notices", line)
		}
	}
	require.NotContains(t, string(notices), "| unknown |")
}
