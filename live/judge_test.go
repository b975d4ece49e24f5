package live

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAKeyIsJudgedWithoutLettingAnybodyIn: what Publish would say of it, and who publishes is not disturbed.
func TestAKeyIsJudgedWithoutLettingAnybodyIn(t *testing.T) {
	w := &witness{}
	h := NewHub(Options{Authorizer: keys{Grant{}}, Observer: w})
	require.NoError(t, h.Judge(t.Context(), "a", obs))
	_, on := h.Lookup("a")
	require.False(t, on)

	no := NewHub(Options{Authorizer: siteSaysNo{keys{}}, Observer: w})
	_, want := no.Publish(t.Context(), "a", obs)
	require.Equal(t, ReasonOf(want), ReasonOf(no.Judge(t.Context(), "a", obs)))
	require.Equal(t, 2, w.count(PublishRefused), "refusals are noted alike")
}
