package configs_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAlertRulesAreWhole reads the rules as Prometheus does: every key is one that it knows, and every rule says what it is about. Whether the
// metrics are there is tested where they are made.
func TestAlertRulesAreWhole(t *testing.T) {
	text, err := os.ReadFile("alerts.yml")
	require.NoError(t, err)
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Expr        string            `yaml:"expr"`
				For         string            `yaml:"for"`
				Keep        string            `yaml:"keep_firing_for"`
				Labels      map[string]string `yaml:"labels"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	require.NoError(t, yaml.UnmarshalWithOptions(text, &file, yaml.Strict()))
	seen := map[string]bool{}
	for _, group := range file.Groups {
		assert.False(t, seen[group.Name], group.Name)
		seen[group.Name] = true
		for _, rule := range group.Rules {
			assert.Regexp(t, `^Mediad[A-Z][A-Za-z]+$`, rule.Alert)
			assert.False(t, seen[rule.Alert], rule.Alert)
			seen[rule.Alert] = true
			assert.Regexp(t, `mediad_|process_`, rule.Expr, rule.Alert)
			for _, pair := range []string{"()", "[]", "{}"} {
				assert.Equal(t, strings.Count(rule.Expr, pair[:1]), strings.Count(rule.Expr, pair[1:]), "%s in %s", pair, rule.Alert)
			}
			if rule.For != "" {
				_, err := time.ParseDuration(rule.For)
				require.NoError(t, err, rule.Alert)
			}
			keep, err := time.ParseDuration(rule.Keep)
			require.NoError(t, err, rule.Alert)
			assert.GreaterOrEqual(t, keep, 5*time.Minute, "%s comes and goes, and is told each time", rule.Alert)
			assert.Contains(t, []string{"info", "warning", "critical"}, rule.Labels["severity"], rule.Alert)
			assert.Regexp(t, regexp.MustCompile(`^.+\.$`), rule.Annotations["summary"], rule.Alert)
		}
	}
	assert.Greater(t, len(seen), 15)
}
