package hlslint

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// WriteText writes the report for people: MUST first, then SHOULD, each finding with its evidence, and a summary.
func (r Report) WriteText(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s: %s, %d playlists, %d segments, %d parts, %.1f MB in %s\n",
		r.URL, r.Kind, r.Playlists, r.Segments, r.Parts, float64(r.Bytes)/1e6, r.Watched.Round(100*time.Millisecond))
	if r.Limited != "" {
		fmt.Fprintf(b, "not judged: %s\n", r.Limited)
	}
	for _, level := range []Level{Must, Should} {
		if r.Count(level) == 0 {
			continue
		}
		fmt.Fprintf(b, "\n%s\n", level)
		for _, f := range r.Findings {
			if f.Level == level {
				f.write(b)
			}
		}
	}
	fmt.Fprintf(b, "\n%s\n", r.Summary())
	return b.Flush()
}

func (f Finding) write(b *bufio.Writer) {
	times := ""
	if f.Count > 1 {
		times = fmt.Sprintf(", %d times", f.Count)
	}
	fmt.Fprintf(b, "  %s [%s]%s\n    %s\n    %s\n", f.Rule, f.Section, times, f.Text, f.URL)
	for _, e := range append([]Example{f.First}, f.More...) {
		line := ""
		if e.Line > 0 {
			line = fmt.Sprintf("line %d: ", e.Line)
		}
		at := ""
		if !e.At.IsZero() {
			at = e.At.UTC().Format("15:04:05.000") + "  "
		}
		fmt.Fprintf(b, "      %s%s%s\n", at, line, e.Evidence)
	}
}

// Summary is the last line of the text.
func (r Report) Summary() string {
	must, should := r.Count(Must), r.Count(Should)
	switch {
	case must+should == 0:
		return "ok: nothing found"
	case must == 0 && !r.strict:
		return fmt.Sprintf("ok: %d SHOULD", should)
	}
	return fmt.Sprintf("failed: %d MUST, %d SHOULD", must, should)
}

// WriteJSON writes the report for programs, indented, with a newline at the end.
func (r Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	type plain Report
	return e.Encode(struct {
		plain
		OK      bool   `json:"ok"`
		Summary string `json:"summary"`
	}{plain(r), r.ExitCode() == 0, r.Summary()})
}
