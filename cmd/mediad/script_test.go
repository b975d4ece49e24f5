package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/configs"
	"mediad/store/db"
)

var update = flag.Bool("update", false, "rewrite the expected output of scripts")

// TestScripts runs testdata/script/*.txt: each "$ command" line as a shell would, comparing what follows it with output and exit code.
// Scripts of one file share a data folder. What differs from run to run (keys, passwords, days) is replaced by words.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			dir := t.TempDir()
			var got strings.Builder
			for line := range strings.SplitSeq(string(text), "\n") {
				switch {
				case strings.HasPrefix(line, "# "):
					got.WriteString(line + "\n")
				case strings.HasPrefix(line, "$ "):
					got.WriteString("\n" + line + "\n" + runLine(t, dir, line[2:]))
				}
			}
			result := strings.TrimPrefix(got.String(), "\n")
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(result), 0o644))
				return
			}
			require.Equal(t, string(text), result)
		})
	}
}

var changing = []struct {
	find *regexp.Regexp
	word string
}{
	{regexp.MustCompile(`mds_[a-z2-7]{32}`), "KEY"},
	{regexp.MustCompile(`…[a-z2-7]{4}`), "…LAST"},
	{regexp.MustCompile(`password( +)[A-Z2-7]{26}`), "password$1 PASSWORD"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?(\+\d\d:\d\d)?`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d`), "DAY"},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`\(go[^)]*\)`), "(GO)"},
	{regexp.MustCompile(`schema \d+`), "schema N"},
	{regexp.MustCompile(`\d+ in \d+ tables`), "N in M tables"},
	{regexp.MustCompile(`are rows in \w+`), "are rows in TABLE"},
}

// runLine runs one line: words in single quotes stay together, NAME=value in front sets the environment, DIR is the script's folder, and what
// follows <<< is typed.
func runLine(t *testing.T, dir, line string) string {
	t.Helper()
	environ := []string{"MEDIAD_DATA_DIR=" + filepath.Join(dir, "data")}
	var args []string
	for _, w := range words(strings.ReplaceAll(line, "DIR", dir)) {
		if len(args) == 0 && strings.Contains(w, "=") {
			environ = append(environ, w)
			continue
		}
		args = append(args, w)
	}
	stdin := ""
	if at := slices.Index(args, "<<<"); at >= 0 {
		stdin, args = strings.ReplaceAll(args[at+1], `\n`, "\n"), args[:at]
	}
	switch args[0] {
	case "mediad":
		var out bytes.Buffer
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		code := (&program{environ: environ, stdin: strings.NewReader(stdin), stdout: &out, stderr: &out}).run(ctx, args)
		result := strings.ReplaceAll(out.String(), dir, "DIR")
		for _, c := range changing {
			result = c.find.ReplaceAllString(result, c.word)
		}
		var b strings.Builder
		for l := range strings.SplitSeq(strings.TrimRight(result, "\n"), "\n") {
			if l = strings.TrimRight(l, " "); l != "" || b.Len() > 0 {
				b.WriteString(l + "\n")
			}
		}
		return fmt.Sprintf("%s[%d]\n", b.String(), code)
	case "site": // what a first start of the server makes
		s, err := openTestSite(environ)
		require.NoError(t, err)
		s.close()
		return ""
	case "write":
		require.NoError(t, os.WriteFile(args[1], []byte(strings.ReplaceAll(args[2], `\n`, "\n")), 0o600))
		return ""
	default:
		t.Fatalf("unknown command in script: %s", line)
		return ""
	}
}

func openTestSite(environ []string) (*site, error) {
	loaded, err := configs.Load("", environ)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	s, err := openSite(ctx, loaded.Config, time.Now, nil)
	if err != nil {
		return nil, err
	}
	_, err = s.firstRun(ctx, loaded.Config)
	return s, err
}

func words(line string) []string {
	var out []string
	var b strings.Builder
	quoted, some := false, false
	for _, r := range line {
		switch {
		case r == '\'':
			quoted, some = !quoted, true
		case r == ' ' && !quoted:
			if some {
				out = append(out, b.String())
				b.Reset()
				some = false
			}
		default:
			b.WriteRune(r)
			some = true
		}
	}
	if some {
		out = append(out, b.String())
	}
	return out
}

func TestKeyIsNowhereInTheDatabase(t *testing.T) {
	dir := t.TempDir()
	s, err := openTestSite([]string{"MEDIAD_DATA_DIR=" + dir})
	require.NoError(t, err)
	defer s.close()
	var out bytes.Buffer
	require.Zero(t, run(context.Background(), []string{"mediad", "stream", "rotate-key", "--quiet", "main"}, []string{"MEDIAD_DATA_DIR=" + dir}, &out, &out))
	key := strings.TrimSpace(out.String())
	require.True(t, strings.HasPrefix(key, "mds_"), key)
	for _, file := range []string{"mediad.db", "mediad.db-wal"} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err == nil {
			require.NotContains(t, string(text), key)
		}
	}
	_, err = s.streams.AuthorizePublish(context.Background(), key, "127.0.0.1:1")
	require.NoError(t, err)
	_, err = s.db.Read(context.Background()).FindStreamBySlug("nothing")
	require.ErrorIs(t, err, db.ErrNotFound)
}
