package hlslint

import (
	"fmt"
	"sort"
	"time"
)

// Bounds of a report, so that a broken origin that is watched for hours fills no memory.
const (
	maxExamples = 3
	maxSubjects = 10_000 // occurrences that are told apart per finding; later ones are not counted
)

// Finding is one rule broken at one URL, however often.
type Finding struct {
	Rule    string    `json:"rule"`
	Level   Level     `json:"level"`
	Section string    `json:"section"`
	Text    string    `json:"text"` // the rule
	URL     string    `json:"url"`  // the playlist, or the resource where no playlist is concerned
	Count   int       `json:"count"`
	First   Example   `json:"first"`
	More    []Example `json:"more,omitempty"` // up to two others
}

// Example is the evidence of one occurrence.
type Example struct {
	Evidence string    `json:"evidence"`
	Line     int       `json:"line,omitempty"` // of the playlist, 0 where no line is concerned
	At       time.Time `json:"at"`             // when it was received
}

// Report is a whole judgement.
type Report struct {
	URL       string        `json:"url"`
	Kind      string        `json:"kind"` // "live low latency", "live", "on demand"
	Started   time.Time     `json:"started"`
	Watched   time.Duration `json:"watched_ns"`
	Playlists int           `json:"playlists"` // answers judged
	Segments  int           `json:"segments"`
	Parts     int           `json:"parts"`
	Bytes     int64         `json:"bytes"`
	Limited   string        `json:"limited,omitempty"` // what was not looked at, in words
	Findings  []Finding     `json:"findings"`

	strict bool
}

// Count returns the number of findings of a level.
func (r Report) Count(l Level) int {
	n := 0
	for _, f := range r.Findings {
		if f.Level == l {
			n++
		}
	}
	return n
}

// ExitCode is 0 when no MUST is broken (and, judged strictly, no SHOULD), else 1.
func (r Report) ExitCode() int {
	if r.Count(Must) > 0 || r.strict && len(r.Findings) > 0 {
		return 1
	}
	return 0
}

// findings collects, without repetition.
type findings struct {
	rules ruleSet
	list  map[string]*gathered // by rule and URL
}

type gathered struct {
	Finding
	subjects map[string]bool
}

// spot is where a finding belongs: the playlist (or other URL), the line there, the moment, and the subject:
// the same rule broken again by the same subject is not counted again.
type spot struct {
	url     string
	line    int
	at      time.Time
	subject string
}

func (f *findings) add(rule string, s spot, format string, args ...any) {
	if f.rules.off[rule] {
		return
	}
	key := rule + "\n" + s.url
	g := f.list[key]
	if g == nil {
		r := f.rules.byID[rule]
		g = &gathered{
			Finding:  Finding{Rule: rule, Level: r.Level, Section: r.Section, Text: r.Text, URL: s.url},
			subjects: map[string]bool{},
		}
		f.list[key] = g
	}
	evidence := fmt.Sprintf(format, args...)
	if s.subject == "" {
		s.subject = evidence
	}
	if g.subjects[s.subject] || len(g.subjects) >= maxSubjects {
		return
	}
	g.subjects[s.subject] = true
	e := Example{Evidence: evidence, Line: s.line, At: s.at}
	if g.Count == 0 {
		g.First = e
	} else if len(g.More) < maxExamples-1 {
		g.More = append(g.More, e)
	}
	g.Count++
}

// sorted returns the findings: MUST first, then in the order of the rules' tables, then by URL.
func (f *findings) sorted() []Finding {
	rank := map[string]int{}
	for i, r := range Rules() {
		rank[r.ID] = i
	}
	out := make([]Finding, 0, len(f.list))
	for _, g := range f.list {
		out = append(out, g.Finding)
	}
	sort.Slice(out, func(i, k int) bool {
		a, b := out[i], out[k]
		if a.Level != b.Level {
			return a.Level == Must
		}
		if rank[a.Rule] != rank[b.Rule] {
			return rank[a.Rule] < rank[b.Rule]
		}
		return a.URL < b.URL
	})
	return out
}
