package stream

import (
	"crypto/rand"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
)

var (
	slugRule = regexp.MustCompile(`^[a-z0-9-]{3,40}$`)
	openRule = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
)

// slugHelp says what a slug may be.
const slugHelp = "3 to 40 characters of a-z, 0-9 and -, and not an id"

// validSlug says whether a stream may be made under this name. One in the form of an id is refused: a path could not
// tell it from the id of another stream.
func validSlug(slug string) bool {
	return slugRule.MatchString(slug) && uuid.Validate(slug) != nil
}

// validOpenName says whether a publisher may make a stream of that name where ingest is open. "." and ".." mean folders
// to every URL parser, and what has the form of a secret is a mistyped or dead key that must not become a public name.
func validOpenName(name string) bool {
	return openRule.MatchString(name) && name != "." && name != ".." && !strings.HasPrefix(strings.ToLower(name), secretPrefix)
}

// randomSlug names a stream whose maker did not.
func randomSlug() string { return "stream-" + strings.ToLower(rand.Text()[:10]) }

// languageRule is the plain shape of BCP 47: language, then script, region, variants.
var languageRule = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}$`)

var categoryRule = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

func visibilities() []string { return []string{"public", "unlisted", "followers", "private"} }

func latencies() []string { return []string{"low", "normal"} }

func oneOf(value string, allowed []string) bool { return slices.Contains(allowed, value) }
