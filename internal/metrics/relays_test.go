package metrics

import (
	"testing"

	"mediad/egress/relay"
)

func TestRelaysInNumbers(t *testing.T) {
	_, r := newMetrics(t)
	Relays(r, func() []relay.Status {
		return []relay.Status{
			{Stream: "a", State: relay.StateLive, Bytes: 10},
			{Stream: "a", State: relay.StateWaiting, Bytes: 5, Drops: 2},
			{Stream: "b", State: relay.StateIdle},
		}
	})
	expect(t, r, `
	# HELP mediad_relay_session_bytes Sent to a stream's targets in its present session.
	# TYPE mediad_relay_session_bytes gauge
	mediad_relay_session_bytes{stream="a"} 15
	mediad_relay_session_bytes{stream="b"} 0
	# HELP mediad_relay_session_dropped Units that a stream's targets were too slow for in its present session.
	# TYPE mediad_relay_session_dropped gauge
	mediad_relay_session_dropped{stream="a"} 2
	mediad_relay_session_dropped{stream="b"} 0
	# HELP mediad_relay_targets Servers that streams are forwarded to, by state.
	# TYPE mediad_relay_targets gauge
	mediad_relay_targets{state="connecting"} 0
	mediad_relay_targets{state="idle"} 1
	mediad_relay_targets{state="live"} 1
	mediad_relay_targets{state="waiting"} 1
	`, "mediad_relay_targets", "mediad_relay_session_bytes", "mediad_relay_session_dropped")
}
