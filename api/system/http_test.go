package system

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestHostName(t *testing.T) {
	for header, want := range map[string]string{
		"example.com": "example.com", "example.com:8080": "example.com", "[2001:db8::1]:8080": "2001:db8::1", "[::1]": "::1",
		"127.0.0.1:8080": "127.0.0.1", "": "localhost", "a b": "localhost", "<script>": "localhost", "evil.com/path": "localhost", "[]": "localhost",
	} {
		assert.Equal(t, want, hostName(header), "%q", header)
	}
}

func TestIngestURL(t *testing.T) {
	for want, s := range map[string]Site{
		"rtmp://tv.example.com/live":       {IngestHost: "tv.example.com", RTMPPort: 1935},
		"rtmp://tv.example.com:19350/live": {IngestHost: "tv.example.com", RTMPPort: 19350},
		"rtmp://asked.example/live":        {RTMPPort: 1935},
		"rtmp://[2001:db8::1]/live":        {IngestHost: "2001:db8::1", RTMPPort: 1935},
	} {
		assert.Equal(t, want, *s.ingest("asked.example:80").RTMPURL)
	}
	assert.Nil(t, Site{}.ingest("x").RTMPURL)
	assert.Nil(t, Site{}.ingest("x").RTMPPort)
}
