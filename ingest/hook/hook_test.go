package hook

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
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

// asked runs a hook in front of an HTTP handler. It gives up after a while that no handler takes here, unless o says so.
func asked(t *testing.T, o Options, answer http.HandlerFunc) *Hook {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	o.URL, o.Secret = s.URL+"/hook", secret
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	h, err := New(o)
	require.NoError(t, err)
	t.Cleanup(h.client.CloseIdleConnections)
	return h
}

// signed reads a request's body and reports whether it is signed as it should be.
func signed(t *testing.T, r *http.Request) []byte {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost {
		t.Error(r.Method, err)
	}
	got := r.Header.Get(SignatureHeader)
	at, _, ok := strings.Cut(strings.TrimPrefix(got, "t="), ",")
	unix, err := strconv.ParseInt(at, 10, 64)
	if !ok || err != nil || Sign(secret, time.Unix(unix, 0), body) != got {
		t.Errorf("signature %q", got)
	}
	return body
}

func TestTheHookIsAskedOfWhomOurRulesLetIn(t *testing.T) {
	calls := make(chan Call, 2) // more than one would be wrong, and is seen
	h := asked(t, Options{}, func(_ http.ResponseWriter, r *http.Request) {
		body := signed(t, r)
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
	require.Equal(t, Call{
		Event: "publish", Stream: "main", StreamID: "id", KeyID: "key-id", Protocol: "srt", Addr: "192.0.2.1:5", Encoder: "OBS",
	}, c)
	require.Empty(t, calls, "of the wrong key nobody was asked")

	require.NoError(t, h.Play(t.Context(), "main", "token", live.Peer{Protocol: "rtsp", Remote: "192.0.2.2:6"}))
	require.Equal(t, "play", (<-calls).Event)
}

// TestProgramsForNginxRTMPAreAsked: the fields are those that its on_publish and on_play send.
func TestProgramsForNginxRTMPAreAsked(t *testing.T) {
	calls := make(chan url.Values, 2)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	h := asked(t, Options{Format: Form, Now: func() time.Time { return at }}, func(_ http.ResponseWriter, r *http.Request) {
		v, err := url.ParseQuery(string(signed(t, r)))
		if err != nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Error(r.Header, err)
		}
		calls <- v
	})
	peer := live.Peer{Protocol: "rtmp", Remote: "[2001:db8::1]:5", Encoder: "FMLE/3.0 (compatible)"}
	_, err := h.Publish(keys{}).AuthorizePublish(t.Context(), "good", peer)
	require.NoError(t, err)
	require.Equal(t, url.Values{
		"call": {"publish"}, "app": {"live"}, "name": {"main"}, "type": {"live"}, "addr": {"2001:db8::1"},
		"flashver": {"FMLE/3.0 (compatible)"},
		"protocol": {"rtmp"}, "stream_id": {"id"}, "key_id": {"key-id"}, "time": {"2026-01-02T03:04:05.000Z"},
	}, <-calls)
	require.NoError(t, h.Play(t.Context(), "main", "a&b", live.Peer{Protocol: "srt", Remote: "192.0.2.2:6"}))
	require.Equal(t, url.Values{
		"call": {"play"}, "app": {"live"}, "name": {"main"}, "addr": {"192.0.2.2"},
		"protocol": {"srt"}, "token": {"a&b"}, "time": {"2026-01-02T03:04:05.000Z"},
	}, <-calls)
}

func TestWhatIsNoYes(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   live.Reason
	}{
		"no":        {status(http.StatusForbidden), live.ReasonRefusedBySite},
		"who":       {status(http.StatusUnauthorized), live.ReasonRefusedBySite},
		"unknown":   {status(http.StatusNotFound), live.ReasonRefusedBySite},
		"slow":      {status(http.StatusRequestTimeout), live.ReasonHookUnavailable},
		"too often": {status(http.StatusTooManyRequests), live.ReasonHookUnavailable},
		"broken":    {status(http.StatusBadGateway), live.ReasonHookUnavailable},
		"gone":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, live.ReasonHookUnavailable},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/yes" {
				t.Error("the redirect was followed")
			}
			http.Redirect(w, r, "/yes", http.StatusTemporaryRedirect)
		}, live.ReasonHookUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := asked(t, Options{}, c.answer).Publish(keys{}).AuthorizePublish(t.Context(), "good", live.Peer{})
			require.Equal(t, c.want, live.ReasonOf(err))
			require.Equal(t, "id", g.StreamID, "its owner is told who was refused")
			require.NotContains(t, err.Error(), "127.0.0.1", "the URL may hold a password")
			require.NotContains(t, live.ReasonOf(err).Text(), "key", "a player has none, and a publisher's is good")
		})
	}
}

// TestASlowAnswerIsNotAwaited: neither where nothing is answered nor where the answer comes in drops. The handlers end when
// the hook hangs up, so a test that returns has seen it do so.
func TestASlowAnswerIsNotAwaited(t *testing.T) {
	for name, begin := range map[string]func(w http.ResponseWriter) error{
		"silent": func(http.ResponseWriter) error { return nil },
		"in drops": func(w http.ResponseWriter) error {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(http.StatusOK)
			_, err := w.Write([]byte("y"))
			return errors.Join(err, http.NewResponseController(w).Flush())
		},
	} {
		t.Run(name, func(t *testing.T) {
			hungUp := make(chan struct{})
			h := asked(t, Options{Timeout: 50 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // only then is a hang-up noticed
				if err := begin(w); err != nil {
					t.Error(err)
				}
				<-r.Context().Done()
				close(hungUp)
			})
			err := h.Play(t.Context(), "main", "", live.Peer{})
			<-hungUp
			if err != nil || name == "silent" { // a status that came in time is an answer, whatever follows
				require.Equal(t, live.ReasonHookUnavailable, live.ReasonOf(err))
			}
		})
	}
}

// TestACallerWhoLeavesIsNotAskedFor: the hook is let go with the publisher, long before its time is over.
func TestACallerWhoLeavesIsNotAskedFor(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	h := asked(t, Options{}, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		leave()
		<-r.Context().Done()
	})
	require.Equal(t, live.ReasonHookUnavailable, live.ReasonOf(h.Play(ctx, "main", "", live.Peer{})))
}

func TestReadableByOthers(t *testing.T) {
	for u, want := range map[string]bool{
		"http://127.0.0.1:80/": false, "http://[::1]/": false, "http://localhost/": false, "https://example.org/": false,
		"http://192.0.2.1/": true, "http://hook/": true,
	} {
		h, err := New(Options{URL: u, Secret: secret})
		require.NoError(t, err)
		require.Equal(t, want, h.Readable(), u)
	}
}

func TestALongAnswerIsNotRead(t *testing.T) {
	h := asked(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
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
	_, err = New(Options{URL: "http://127.0.0.1/", Secret: secret, Format: "xml"})
	require.Error(t, err)
}
