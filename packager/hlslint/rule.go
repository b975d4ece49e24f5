package hlslint

import "sort"

// Level says how binding a rule is. A MUST that is broken fails the judgement, a SHOULD only when asked to.
type Level string

// The levels. Where only Apple's authoring specification asks for something its rules are SHOULD, whatever verb
// it uses: it binds those who deliver to Apple's devices, the protocol binds everyone.
const (
	Must   Level = "MUST"
	Should Level = "SHOULD"
)

// Subject groups rules by what they look at.
type Subject string

// The subjects, in the order of the documentation.
const (
	SubjectSyntax       Subject = "syntax"
	SubjectMultivariant Subject = "multivariant playlist"
	SubjectMedia        Subject = "media playlist"
	SubjectLowLatency   Subject = "low latency"
	SubjectReload       Subject = "reloads"
	SubjectRenditions   Subject = "renditions together"
	SubjectHTTP         Subject = "requests"
	SubjectSamples      Subject = "media against playlist"
)

// Rule is one thing that an origin is held to.
type Rule struct {
	ID      string // stable, lower case with hyphens
	Level   Level
	Section string // where it is written, such as "rfc8216bis 4.4.3.7"
	Subject Subject
	Text    string // one sentence: what holds for a good origin

	// Authoring marks rules on the choice of content (ladder, I-frame playlists, languages) rather than on
	// correctness; they are judged only when Options.Authoring is set.
	Authoring bool
}

// Rules returns all rules, by subject and then in the order of their tables.
func Rules() []Rule {
	var all []Rule
	for _, t := range [][]Rule{
		syntaxRules(), multivariantRules(), mediaRules(), lowLatencyRules(),
		reloadRules(), renditionRules(), httpRules(), sampleRules(),
	} {
		all = append(all, t...)
	}
	return all
}

// ruleSet is the rules in force for one judgement.
type ruleSet struct {
	byID map[string]Rule
	off  map[string]bool
}

func newRuleSet(only, ignore []string, authoring bool) ruleSet {
	s := ruleSet{byID: map[string]Rule{}, off: map[string]bool{}}
	for _, r := range Rules() {
		s.byID[r.ID] = r
		if r.Authoring && !authoring {
			s.off[r.ID] = true
		}
	}
	if len(only) > 0 {
		for id := range s.byID {
			s.off[id] = true
		}
		for _, id := range only {
			delete(s.off, id)
		}
	}
	for _, id := range ignore {
		s.off[id] = true
	}
	return s
}

// unknownRules returns the names among ids that no rule has, sorted.
func unknownRules(ids []string) []string {
	known := map[string]bool{}
	for _, r := range Rules() {
		known[r.ID] = true
	}
	var bad []string
	for _, id := range ids {
		if !known[id] {
			bad = append(bad, id)
		}
	}
	sort.Strings(bad)
	return bad
}
