package stream

import (
	"context"
	"net"
	"slices"
	"strconv"
	"time"

	"mediad/api/caller"
	"mediad/store/db"
)

// Ingest says where publishers connect. A port is 0 where the listener is off.
type Ingest struct {
	// Host makes the advertised host of the one that the caller used.
	Host                                   func(requestHost string) string
	RTMPPort, RTMPSPort, RTSPPort, SRTPort int
	WHIP                                   bool
}

// IngestBody is where to publish; the key comes behind it. null: the protocol is off.
type IngestBody struct {
	RTMPURL  *string `json:"rtmp_url" doc:"The server to type into an encoder" example:"rtmp://live.example.com/live"`
	RTMPSURL *string `json:"rtmps_url" example:"rtmps://live.example.com:1936/live"`
	WHIPURL  *string `json:"whip_url" doc:"The key is the Bearer token" example:"https://live.example.com/whip"`
	SRTURL   *string `json:"srt_url" doc:"Ends with what the key follows" example:"srt://live.example.com:8890?streamid=publish:"`
	RTSPURL  *string `json:"rtsp_url" doc:"The key follows behind a slash" example:"rtsp://live.example.com:8554/live"`
}

// KeyBody is a key without its secret.
type KeyBody struct {
	ID         string  `json:"id" format:"uuid" example:"0198f2a0-0000-7000-8000-000000000041"`
	CreatedAt  string  `json:"created_at" format:"date-time" example:"2026-03-01T12:00:00.000Z"`
	Label      string  `json:"label" example:"Laptop"`
	Hint       string  `json:"hint" doc:"Its last four characters" example:"x7qp"`
	ExpiresAt  *string `json:"expires_at" format:"date-time" doc:"null: never" example:"2027-03-01T12:00:00.000Z"`
	LastUsedAt *string `json:"last_used_at" format:"date-time" doc:"null: never" example:"2026-03-01T12:00:00.000Z"`
	LastIP     string  `json:"last_ip" doc:"Masked; empty: never used" example:"203.0.113.x"`
	StreamKey  string  `json:"stream_key,omitempty" doc:"Only in the answer to its making" example:"mds_"`
}

// MeBody is what a stream is to the caller.
type MeBody struct {
	IsOwner bool `json:"is_owner" example:"true"`
}

func keyBody(k db.StreamKey) KeyBody {
	text := func(m *db.Millis) *string {
		if m == nil {
			return nil
		}
		at := stamp(m.Time())
		return &at
	}
	ends := k.ExpiresAt
	if k.RevokedAt != nil && (ends == nil || *k.RevokedAt < *ends) {
		ends = k.RevokedAt // a rotation gave it up
	}
	return KeyBody{
		ID: k.ID, CreatedAt: stamp(k.CreatedAt.Time()), Label: k.Label, Hint: k.Hint, ExpiresAt: text(ends), LastUsedAt: text(k.LastUsedAt), LastIP: k.LastIP,
	}
}

// bodies are streams as the caller sees them: its own with their keys and where to publish to.
func (h *handlers) bodies(ctx context.Context, rows []db.Stream, host string) ([]Body, error) {
	who := caller.Of(ctx)
	owns := func(row db.Stream) bool {
		return who.SignedIn() && row.OwnerID == who.UserID && who.Has(caller.StreamsRead)
	}
	var owners, own []string
	for _, row := range rows {
		if !slices.Contains(owners, row.OwnerID) {
			owners = append(owners, row.OwnerID)
		}
		if owns(row) {
			own = append(own, row.ID)
		}
	}
	users, err := h.service.db.RecallUsers(ctx, owners)
	if err != nil {
		return nil, err
	}
	names := byID(users, func(u db.User) string { return u.ID })
	keys := map[string][]KeyBody{}
	if len(own) > 0 {
		all, err := h.service.db.Read(ctx).ListKeysOf(own)
		if err != nil {
			return nil, err
		}
		now := db.At(h.now())
		for _, k := range all {
			if k.AliveAt(now) {
				keys[k.StreamID] = append(keys[k.StreamID], keyBody(k))
			}
		}
	}
	out := make([]Body, 0, len(rows))
	for _, row := range rows {
		b := h.body(row, names[row.OwnerID])
		if who.SignedIn() {
			b.Me = &MeBody{IsOwner: row.OwnerID == who.UserID}
		}
		if owns(row) {
			if b.Keys = keys[row.ID]; b.Keys == nil {
				b.Keys = []KeyBody{}
			}
			b.Ingest, b.Publish = h.ingestBody(ctx, host), publishBody(row)
			b.DisabledBy, b.DisabledReason = disabledBy(row), row.DisabledReason
		}
		out = append(out, b)
	}
	return out, nil
}

// disabledBy says who has; "": nobody.
func disabledBy(row db.Stream) string {
	switch {
	case row.DisabledAt == nil:
		return ""
	case row.DisabledByStaff:
		return "admin"
	}
	return "owner"
}

func (h *handlers) ingestBody(ctx context.Context, requestHost string) *IngestBody {
	i := h.ingest
	here := h.publicURL
	if here == "" { // where the caller is
		here = "http://" + requestHost
		if caller.PeerOf(ctx).Secure {
			here = "https://" + requestHost
		}
	}
	if i.Host != nil {
		requestHost = i.Host(requestHost)
	}
	address := func(scheme string, port, usual int, tail string) *string {
		if port == 0 {
			return nil
		}
		host := net.JoinHostPort(requestHost, strconv.Itoa(port))
		if port == usual {
			host = host[:len(host)-len(strconv.Itoa(port))-1]
		}
		url := scheme + "://" + host + tail
		return &url
	}
	b := &IngestBody{
		RTMPURL: address("rtmp", i.RTMPPort, 1935, "/live"), RTMPSURL: address("rtmps", i.RTMPSPort, 443, "/live"),
		SRTURL: address("srt", i.SRTPort, 0, "?streamid=publish:"), RTSPURL: address("rtsp", i.RTSPPort, 554, "/live"),
	}
	if i.WHIP {
		url := here + "/whip"
		b.WHIPURL = &url
	}
	return b
}

// maxGrace of a rotation.
const maxGrace = time.Hour
