package rtmp

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"mediad/media/amf0"
	"mediad/media/chunk"
)

// Capabilities of Enhanced RTMP v2 ("Enhancing NetConnection connect Command").
const (
	capsMultitrack = 0x02
	capsModEx      = 0x04
	capsNanoOffset = 0x08
	fourCCForward  = 0x04 // FourCcInfoMask: the server passes the codec on; it neither decodes nor encodes
)

const (
	// application is the only one there is.
	application = "live"
	// maxEncoderName and maxFourCCs bound what is kept of a connect object.
	maxEncoderName = 128
	maxFourCCs     = 64
)

// Codecs that we take over Enhanced RTMP, as the answer to connect announces them.
var (
	videoFourCCs = []string{"avc1", "hvc1", "av01", "vp09"}
	audioFourCCs = []string{"mp4a", "Opus"}
)

// connectInfo is what an encoder said in its connect command.
type connectInfo struct {
	Transaction float64
	App         string
	TCURL       string // may hold the key: never to be logged
	FlashVer    string
	FourCCs     []string
	CapsEx      int
}

// parseConnect reads the arguments of a connect command. A field of another type than the specification's is as if it
// were not there.
func parseConnect(transaction float64, r *amf0.Reader) (connectInfo, error) {
	v, err := r.Value()
	if err != nil {
		return connectInfo{}, fmt.Errorf("connect: %w", err)
	}
	o, ok := v.(map[string]any)
	if !ok {
		return connectInfo{}, fmt.Errorf("%w: connect without an object", chunk.ErrProtocol)
	}
	c := connectInfo{Transaction: transaction}
	c.App, _ = o["app"].(string)
	c.TCURL, _ = o["tcUrl"].(string)
	flashVer, _ := o["flashVer"].(string)
	c.FlashVer = cleanName(flashVer)
	caps, _ := o["capsEx"].(float64)
	if caps >= 0 && caps < 1<<16 {
		c.CapsEx = int(caps)
	}
	c.FourCCs = fourCCs(o)
	if c.App == "" {
		// Some encoders leave the application to the URL.
		if u, err := url.Parse(c.TCURL); err == nil {
			c.App = strings.TrimPrefix(u.Path, "/")
		}
	}
	return c, nil
}

// fourCCs collects the codecs of fourCcList (E-RTMP v1) and of the info maps (v2).
func fourCCs(o map[string]any) []string {
	var out []string
	add := func(v any) {
		if s, ok := v.(string); ok && len(s) <= 4 && len(out) < maxFourCCs {
			out = append(out, cleanName(s))
		}
	}
	if list, ok := o["fourCcList"].([]any); ok {
		for _, v := range list {
			add(v)
		}
	}
	for _, key := range []string{"videoFourCcInfoMap", "audioFourCcInfoMap"} {
		if m, ok := o[key].(map[string]any); ok {
			for name := range m {
				add(name)
			}
		}
	}
	return out
}

// result is the answer to connect: what go-rtmp would say, and what it cannot say.
func (c connectInfo) result() []byte {
	return amf0.Append(nil, "_result", c.Transaction, c.properties(), amf0.Object{
		{"level", "status"},
		{"code", "NetConnection.Connect.Success"},
		{"description", "Connection succeeded."},
		{"objectEncoding", 0},
	})
}

// refusal is the answer to a connect that is not accepted.
func (c connectInfo) refusal(s status) []byte {
	return amf0.Append(nil, "_error", c.Transaction, c.properties(), amf0.Object{
		{"level", "error"},
		{"code", s.Code},
		{"description", s.Description},
	})
}

// properties announces what we have: no reconnect request.
func (c connectInfo) properties() amf0.Object {
	list := make([]any, 0, len(videoFourCCs)+len(audioFourCCs))
	infoMap := func(names []string) amf0.Object {
		m := make(amf0.Object, 0, len(names))
		for _, n := range names {
			m = append(m, amf0.Field{n, fourCCForward})
			list = append(list, n)
		}
		return m
	}
	video, audio := infoMap(videoFourCCs), infoMap(audioFourCCs)
	return amf0.Object{
		{"fmsVer", "FMS/3,5,7,7009"}, // encoders look for the prefix, and for a version that knows H.264
		{"capabilities", 31},
		{"mode", 1},
		{"fourCcList", list},
		{"videoFourCcInfoMap", video},
		{"audioFourCcInfoMap", audio},
		{"capsEx", capsMultitrack | capsModEx | capsNanoOffset},
	}
}

// target is where a publisher wants to publish.
type target struct {
	Key    string
	Params url.Values // what stood behind ? in application, URL or stream name
}

var (
	errApplication = errors.New("rtmp: not the application of this server")
	errNoKey       = errors.New("rtmp: no stream key")
)

// parseApp checks the application: "live", or "live/KEY" where the key is part of the URL.
func parseApp(app string) (key string, params url.Values, err error) {
	app, query, _ := strings.Cut(app, "?")
	name, key, _ := strings.Cut(strings.Trim(app, "/"), "/")
	if name != application {
		return "", nil, errApplication
	}
	return strings.Trim(key, "/"), parseQuery(query), nil
}

// parseTarget finds the stream key. In the URL (rtmp://HOST/live/KEY as server, whatever as key) it wins; else it is the
// name that is published.
func parseTarget(app, name string) (target, error) {
	key, params, err := parseApp(app)
	if err != nil {
		return target{}, err
	}
	name, query, _ := strings.Cut(name, "?")
	for k, v := range parseQuery(query) {
		params[k] = v
	}
	if key == "" {
		key = strings.Trim(name, "/")
	}
	if key == "" {
		return target{}, errNoKey
	}
	return target{Key: key, Params: params}, nil
}

// parseQuery reads what it can: encoders append their own words here, not always well-formed.
func parseQuery(q string) url.Values {
	v, _ := url.ParseQuery(q)
	if v == nil {
		v = url.Values{}
	}
	return v
}

// cleanName makes a name from outside fit for a log line: printable, and not long.
func cleanName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	if len(s) > maxEncoderName {
		s = strings.ToValidUTF8(s[:maxEncoderName], "")
	}
	return strings.TrimSpace(s)
}
