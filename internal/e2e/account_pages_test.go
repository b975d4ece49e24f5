//go:build e2e

package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/internal/viewer"
)

// TestAccountPages: what people do with their accounts, all in the pages (web/tests/e2e/account.mjs): an address is confirmed by its mail, a picture
// is refused and another taken, a second factor set up and used, the data exported, a forgotten password replaced by mail; who follows before
// signing in does so afterwards; a webhook is made and tested; videos are kept for later, watched and forgotten.
func TestAccountPages(t *testing.T) {
	t.Parallel()
	s := startServer(t, "MEDIAD_AUTH_REGISTRATION=open")
	const password = `"password":"correct horse battery"}`
	anna := s.call(201, "POST", "/api/v1/auth/register", "", `{"username":"anna",`+password)["access_token"].(string)
	bert := s.call(201, "POST", "/api/v1/auth/register", "", `{"username":"bert",`+password)["access_token"].(string)
	for _, token := range []string{anna, bert} {
		s.call(200, "POST", "/api/v1/me/streamer", token, "")
	}
	key := s.call(201, "POST", "/api/v1/streams", bert, `{"slug":"blitz","title":"Friday blitz"}`)["stream_key"].(string)
	publisher := s.publish(t, key, source{gop: 30})
	s.waitLive("blitz")
	// Where no mail is sent, none is offered.
	s.look(t, append(pages(":/forgot-password"), "--expect", "[data-no-mail]")...)
	publisher.kill(syscall.SIGTERM)
	video := s.replay(t, "blitz", 40*time.Second)

	mails := openMailbox(t)
	s.stop(syscall.SIGTERM)
	s.env = append(s.env, "MEDIAD_MAIL_SMTP_URL=smtp://"+mails.addr+"?from=tv@example.com", "MEDIAD_SITE_PUBLIC_URL="+s.url(""))
	s.start()

	var posted atomic.Int32
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Webhook-Signature"), "v1,") {
			posted.Add(1)
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte("thank you"))
	}))
	t.Cleanup(hook.Close)

	walk, err := viewer.Film(viewer.CameraOptions{
		Script: "../../web/tests/e2e/account.mjs", URL: s.url(""), Args: []string{"--mails", mails.url, "--hook", hook.URL + "/in", "--video", video},
	})
	require.NoError(t, err)
	t.Cleanup(walk.Kill)
	began := time.Now()
	for _, step := range []string{"confirmed", "pictured", "second factor", "exported", "reset", "followed", "hooked", "listed"} {
		require.NoError(t, walk.Await(40*time.Second, step, func(told viewer.Told) bool { return told.Type == step }))
		t.Logf("%s after %v", step, time.Since(began).Round(time.Millisecond))
	}
	assert.Equal(t, int32(2), posted.Load(), "a test and its repetition")
	assert.Equal(t, float64(1), s.json("/api/v1/users/@bert")["followers_count"])
	assert.NotContains(t, s.log.String(), "correct horse")
}
