package hook

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"mediad/live"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var secret = []byte("a secret that both know")

type keys struct{}

func (keys) AuthorizePublish(_ context.Context, key string, _ live.Peer) (live.Grant, error) {
	if key != "good" {
		return live.Grant{}, live.Refuse(live.ReasonStreamKeyInvalid, nil)
	}
	return live.Grant{Stream: "main", StreamID: "id", KeyID: "key-id"}, nil
}

// asked runs a hook in front of an HTTP handler.
func asked(t *testing.T, answer http.HandlerFunc) *Hook {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	h, err := New(Options{URL: s.URL + "/hook", Secret: secret, Timeout: 300 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(h.client.CloseIdleConnections)
	return h
}

func TestTheHookIsAskedOfWhomOurRulesLetIn(t *testing.T) {
	calls := make(chan Call, 2) // more than one would be wrong, and is seen
	h := asked(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost {
			t.Error(r.Method, err)
		}
		at, _, ok := strings.Cut(strings.TrimPrefix(r.Header.Get(SignatureHeader), "t="), ",")
		if seconds, err := time.ParseDuration(at + "s"); !ok || err != nil || Sign(secret, time.Unix(int64(seconds.Seconds()), 0), body) != r.Header.Get(SignatureHeader) {
			t.Errorf("signature %q", r.Header.Get(SignatureHeader))
		}
		if strings.Contains(string(body), "good") {
			t.Error("the key was sent")
		}
		var c Call
		if err := json.Unmarshal(body, &c); err != nil {
			t.Error(err)
		}
		calls <- c
	})
	rights := h.Publish(keys{})
	_, err := rights.AuthorizePublish(t.Context(), "bad", live.Peer{})
	require.Equal(t, live.ReasonStreamKeyInvalid, live.ReasonOf(err))
	g, err := rights.AuthorizePublish(t.Context(), "good", live.Peer{Protocol: "srt", Remote: "192.0.2.1:5", Encoder: "OBS"})
	require.NoError(t, err)
	require.Equal(t, "main", g.Stream)
	c := <-calls
	require.NotEmpty(t, c.Time)
	c.Time = ""
	require.Equal(t, Call{Event: "publish", Stream: "main", StreamID: "id", KeyID: "key-id", Protocol: "srt", Addr: "192.0.2.1:5", Encoder: "OBS"}, c)
	require.Empty(t, calls, "of the wrong key nobody was asked")

	require.NoError(t, h.Play(t.Context(), "main", "token", live.Peer{Protocol: "rtsp", Remote: "192.0.2.2:6"}))
	require.Equal(t, "play", (<-calls).Event)
}

func TestWhatIsNoYes(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   live.Reason
	}{
		"no":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, live.ReasonStreamDisabled},
		"broken":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, live.ReasonAuthUnavailable},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/yes", http.StatusFound) }, live.ReasonAuthUnavailable},
		"silent": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}, live.ReasonAuthUnavailable},
		"gone": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, live.ReasonAuthUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := asked(t, c.answer).Publish(keys{}).AuthorizePublish(t.Context(), "good", live.Peer{})
			require.Equal(t, c.want, live.ReasonOf(err))
			require.NotContains(t, err.Error(), "127.0.0.1", "the URL may hold a password")
		})
	}
}

func TestALongAnswerIsNotRead(t *testing.T) {
	h := asked(t, func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 1<<20)
		for range 64 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	require.NoError(t, h.Play(t.Context(), "main", "", live.Peer{}))
}

func TestOptionsAreChecked(t *testing.T) {
	for _, u := range []string{"", "ftp://x/", "http://", "://"} {
		_, err := New(Options{URL: u, Secret: secret})
		require.Error(t, err, u)
	}
	_, err := New(Options{URL: "http://127.0.0.1/"})
	require.Error(t, err)
}
