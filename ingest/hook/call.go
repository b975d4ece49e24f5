package hook

import (
	"encoding/json"
	"net"
	"net/url"
)

// Format is how a call is written.
type Format string

// The formats.
const (
	// JSON is the document of Call.
	JSON Format = "json"
	// Form has the fields that nginx-rtmp's on_publish and on_play send, so that a program written for it goes on as it is,
	// with ours behind them. The name is the stream's, never the key.
	Form Format = "form"
)

func (f Format) contentType() string {
	if f == Form {
		return "application/x-www-form-urlencoded"
	}
	return "application/json"
}

// Call is what is sent.
type Call struct {
	Event    string `json:"event"` // publish, play
	Stream   string `json:"stream"`
	StreamID string `json:"stream_id,omitempty"`
	KeyID    string `json:"key_id,omitempty"` // of the key that was used; the key itself is sent to nobody
	Token    string `json:"token,omitempty"`  // what a player brought
	Protocol string `json:"protocol"`
	Addr     string `json:"addr"`
	Encoder  string `json:"encoder,omitempty"`
	Time     string `json:"time"`
}

func (c Call) encode(f Format) ([]byte, error) {
	if f != Form {
		return json.Marshal(c)
	}
	addr := c.Addr
	if host, _, err := net.SplitHostPort(addr); err == nil {
		addr = host // nginx-rtmp tells no port
	}
	v := url.Values{
		"call": {c.Event}, "app": {"live"}, "name": {c.Stream}, "addr": {addr},
		"protocol": {c.Protocol}, "time": {c.Time},
	}
	if c.Event == "publish" {
		v.Set("type", "live")
	}
	for key, value := range map[string]string{
		"flashver": c.Encoder, "stream_id": c.StreamID, "key_id": c.KeyID, "token": c.Token,
	} {
		if value != "" {
			v.Set(key, value)
		}
	}
	return []byte(v.Encode()), nil
}
