package api_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/audit"
	"mediad/store/db"
)

// secretFields are those that hold a secret in some request or answer.
var secretFields = regexp.MustCompile(`"(?:[a-z_]*password|[a-z_]*token|secret|stream_key|email|access_key)":("(?:[^"\\\\]|\\\\.)*")`)

// secretWords are secrets wherever they stand.
var secretWords = regexp.MustCompile(`\bmd[srtich]_[A-Za-z0-9_-]{16,}`)

// remember notes the secrets of a request and its answer.
func (s *site) remember(texts ...string) {
	for _, text := range texts {
		for _, found := range secretFields.FindAllStringSubmatch(text, -1) {
			var value string
			if json.Unmarshal([]byte(found[1]), &value) == nil && len(value) >= 10 {
				s.used[value] = true
			}
		}
		for _, found := range secretWords.FindAllString(text, -1) {
			s.used[found] = true
		}
	}
}

// searchSecrets looks for everything that was remembered in the logs and in the database's files, at the end of every test.
func (s *site) searchSecrets(t testing.TB) {
	kept := s.logs.String()
	if s.db.Engine() == db.SQLite {
		for _, suffix := range []string{"", "-wal"} {
			text, err := os.ReadFile(s.db.Where() + suffix)
			if err == nil {
				kept += string(text)
			}
		}
	}
	for secret := range s.used {
		assert.NotContains(t, kept, secret, "a secret was written down")
	}
	for key, data := range s.objects.snapshot() {
		texts := map[string]string{key: string(data)}
		if strings.HasPrefix(key, "export/") {
			texts = unzip(t, data)
		}
		for name, text := range texts {
			assert.NotContains(t, text, secretPlace, "%s has what a picture's file knew of its maker", name)
			for secret := range s.used {
				if !strings.Contains(secret, "@") { // their own address is theirs to take away
					assert.NotContains(t, text, secret, "a secret is in %s", name)
				}
			}
		}
	}
}

func TestTheRecordHasNoSecrets(t *testing.T) {
	s := newSite(t, db.Options{})
	require.NoError(t, s.audit.Write(t.Context(), audit.Entry{
		Action: "test", Reason: "token=abcdefgh1234", Before: map[string]string{"secret": "ijklmnop5678"}, After: "mds_qrstuvwx9012",
	}))
	rows, err := s.db.Read(t.Context()).ListAudit(db.AuditFilter{Action: "test"}, 1)
	require.NoError(t, err)
	assert.Equal(t, "token=***1234", rows[0].Reason)
	assert.JSONEq(t, `{"secret":"***5678"}`, rows[0].Before)
	assert.Equal(t, `"***9012"`, rows[0].After)
	_, err = s.audit.Verify(t.Context(), "test", "2026-03-01")
	require.NoError(t, err)
}
