package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api"
	"mediad/api/account"
	"mediad/api/reseal"
	"mediad/api/stream"
	"mediad/store/db"
	"mediad/store/seal"
)

type forwardBody struct {
	ID, URL, State, Error string
	Bytes                 uint64
}

// forwardLive has a stream on air that is forwarded.
type forwardLive struct {
	onAir
	forwards *[]stream.HealthForward
}

func (f forwardLive) Health(slug string) (stream.Health, bool) {
	h, ok := f.onAir.Health(slug)
	h.Forwards = *f.forwards
	return h, ok
}

func TestForwards(t *testing.T) {
	s := newSite(t, db.Options{})
	var on []stream.HealthForward
	s.deps.Live = forwardLive{onAir{infos: []api.LiveInfo{liveInfo("veras")}}, &on}
	c := s.client(t)
	vera, admin := c.streamer("vera"), s.staff(t, c, "abel", account.Admin)
	moderator := s.staff(t, c, "mona", account.Moderator)
	of := c.stream(vera.Access, `{"slug":"veras","title":"Open"}`)
	path := "/api/v1/streams/veras/forwards"
	const secret = "sekret-key-of-another-site"
	a := c.want(201, "", "POST", path, vera.Access, `{"url":"rtmp://a.example.com/live2","key":"`+secret+`"}`)
	first := decode[forwardBody](t, a.Body.Bytes())
	assert.Equal(t, "/api/v1/streams/"+of.ID+"/forwards/"+first.ID, a.Header().Get("Location"))
	assert.Equal(t, [2]string{"rtmp://a.example.com/…", "idle"}, [2]string{first.URL, first.State})
	assert.NotContains(t, a.Body.String(), secret)
	a = c.want(422, "validation_failed", "POST", path, vera.Access, `{"url":"rtmp://a.example.com/live2/`+secret+`"}`)
	assert.Contains(t, a.Body.String(), "not_unique")

	on = []stream.HealthForward{{ID: first.ID, Target: "x", State: "live", Since: "2026-03-01T12:00:00.000Z", Attempts: 1, Bytes: 7}, {Target: "of the operator", State: "live"}}
	for _, who := range []string{vera.Access, admin.Access} {
		a = c.want(200, "", "GET", path, who, "")
		assert.NotContains(t, a.Body.String(), secret)
		list := decode[struct{ Items []forwardBody }](t, a.Body.Bytes()).Items
		require.Len(t, list, 1)
		assert.Equal(t, forwardBody{ID: first.ID, URL: "rtmp://a.example.com/…", State: "live", Bytes: 7}, list[0])
	}
	c.want(403, "forbidden", "GET", path, moderator.Access, "")

	// What leads into the server's own network is refused as far as it can be seen; what a name leads to is looked at by who calls.
	for _, address := range []string{
		"rtmp://127.0.0.1/live/x", "rtmp://localhost/live/x", "rtmp://LOCALHOST./live/x", "rtmp://a.localhost/live/x", "rtmp://[::1]/live/x", "rtmp://10.0.0.1/live/x",
		"rtmp://192.168.1.1:1935/live/x", "srt://169.254.169.254:80?streamid=x", "rtmp://[::ffff:10.0.0.1]/live/x", "rtmp://0.0.0.0/live/x", "rtmp://100.100.100.200/live/x",
		"rtmp://[fd00:ec2::254]/live/x", "http://a.example.com/live/x", "file:///etc/passwd", "rtmp:///live/x", "", "rtmp://a.example.com/live/x#tls_verify=0",
		"rtmp://a.example.com/live/x\\u0000", "rtmp://a.example.com/li ve/x", "rtmp://a.example.com/" + strings.Repeat("x", 2048) + "/y",
	} {
		c.want(422, "validation_failed", "POST", path, vera.Access, `{"url":"`+address+`"}`)
	}
	c.want(422, "validation_failed", "POST", path, vera.Access, `{"url":"srt://a.example.com:9000?streamid=x","key":"y"}`)
	for i := range stream.MaxForwards - 1 {
		c.want(201, "", "POST", path, vera.Access, fmt.Sprintf(`{"url":"rtmp://b%d.example.com/live/x"}`, i))
	}
	a = c.want(409, "limit_reached", "POST", path, vera.Access, `{"url":"rtmp://c.example.com/live/x"}`)
	assert.Contains(t, a.Body.String(), `"max":5`)

	targets, err := s.streams.ForwardTargets(t.Context(), []string{of.ID})
	require.NoError(t, err)
	require.Len(t, targets[of.ID], stream.MaxForwards)
	assert.Equal(t, stream.ForwardTarget{ID: first.ID, URL: "rtmp://a.example.com/live2/" + secret}, targets[of.ID][0])
	rows, err := s.db.Read(t.Context()).ListForwards(of.ID)
	require.NoError(t, err)
	assert.NotContains(t, rows[0].URLEnc, secret)

	// A new master key seals what the old one had.
	ring, err := seal.New([]byte(strings.Repeat("n", 32)), []byte(strings.Repeat("m", 32)))
	require.NoError(t, err)
	done, err := reseal.New(reseal.Options{DB: s.db, Secrets: ring, Columns: stream.SealedForwards()}).Once(t.Context())
	require.NoError(t, err)
	assert.Equal(t, reseal.Done{Sealed: stream.MaxForwards}, done)

	c.want(204, "", "DELETE", path+"/"+first.ID, vera.Access, "")
	c.want(404, "not_found", "DELETE", path+"/"+first.ID, vera.Access, "")
	assert.Len(t, s.audited(t, "stream_forward.create"), stream.MaxForwards)
	for _, one := range append(s.audited(t, "stream_forward.create"), s.audited(t, "stream_forward.delete")...) {
		assert.NotContains(t, one.After+one.Before, secret)
	}
	assert.NotContains(t, s.logs.String(), secret)
}
