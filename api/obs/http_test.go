package obs

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2/humatest"
	"github.com/stretchr/testify/require"

	"mediad/api/stream"
)

type keys struct{ err error }

func (k keys) AuthorizePublish(_ context.Context, key, _ string) (stream.Grant, error) {
	if k.err != nil {
		return stream.Grant{}, k.err
	}
	if key != "live_key" {
		return stream.Grant{}, &stream.Refusal{Reason: "unknown"}
	}
	return stream.Grant{Stream: "tower"}, nil
}

// request30 is what OBS 30.2 posts, request31 what 31.1 does.
const (
	request30 = `{"service":"IVS","schema_version":"2024-06-04","authentication":"live_key",
"client":{"name":"obs-studio","version":"30.2.3","supported_codecs":["h264","av1","h265"]},
"capabilities":{"cpu":{"physical_cores":8,"logical_cores":16,"speed":3800,"name":"a CPU"},"memory":{"total":34282196992,"free":20172718080},
"gaming_features":{"game_bar_enabled":false,"game_mode_enabled":null},"system":{"version":"10.0","name":"Windows","build":22631,"release":"23H2","revision":4169,"bits":64,"arm":false,"armEmulation":false},
"gpu":[{"model":"a GPU","vendor_id":4318,"device_id":9860,"dedicated_video_memory":12661555200,"shared_system_memory":17141096448,"driver_version":"32.0.15.6094"}]},
"preferences":{"maximum_aggregate_bitrate":null,"maximum_video_tracks":null,"vod_track_audio":false,"width":1920,"height":1080,"framerate":{"numerator":60,"denominator":1},"canvas_width":2560,"canvas_height":1440,"composition_gpu_index":0}}`
	request31 = `{"service":"IVS","schema_version":"2025-01-25","authentication":"live_key",
"client":{"name":"obs-studio","version":"31.1.0","supported_codecs":["h264"],"supported_encoders":["obs_x264","obs_qsv11_v2","h264_texture_amf"]},
"capabilities":{"cpu":{"physical_cores":6,"logical_cores":12,"speed":null,"name":null},"memory":{"total":1,"free":1},"gaming_features":null,
"system":{"version":"6.8","name":"Linux","build":0,"release":"","revision":0,"bits":64,"arm":false,"armEmulation":false},"gpu":[{"model":"a GPU","vendor_id":4098,"device_id":1,"dedicated_video_memory":1,"shared_system_memory":1,"driver_version":null}]},
"preferences":{"maximum_aggregate_bitrate":8000,"maximum_video_tracks":3,"vod_track_audio":true,"composition_gpu_index":0,"audio_samples_per_sec":48000,"audio_channels":2,"audio_fixed_buffering":false,"audio_max_buffering_ms":960,
"canvases":[{"width":1080,"height":1920,"canvas_width":1080,"canvas_height":1920,"framerate":{"numerator":30000,"denominator":1001}}]}}`
)

func ask(t *testing.T, o Options, body string) ConfigBody {
	t.Helper()
	_, api := humatest.New(t)
	if o.Keys == nil {
		o.Keys = keys{}
	}
	o.Log = slog.New(slog.DiscardHandler)
	o.Host = func(string) string { return "live.example.com" }
	Register(api, o)
	answer := api.Post(Path, "Content-Type: application/json", strings.NewReader(body))
	require.Equal(t, 200, answer.Code, answer.Body.String())
	require.Equal(t, "no-store", answer.Header().Get("Cache-Control"))
	var c ConfigBody
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &c))
	require.NotEmpty(t, c.Meta.ConfigID)
	return c
}

// TestABodyThatIsNoneIsToldOfAsOBSExpects: in words, and never as a problem.
func TestABodyThatIsNoneIsToldOfAsOBSExpects(t *testing.T) {
	for _, body := range []string{"", " ", "{", "[]", "null"} {
		c := ask(t, Options{RTMPPort: 1935}, body)
		require.NotNil(t, c.Status, body)
		require.Equal(t, "error", c.Status.Result, body)
	}
}

func sizes(c ConfigBody) (out [][3]int) {
	for _, e := range c.EncoderConfigurations {
		out = append(out, [3]int{int(e.Width), int(e.Height), int(e.Settings["bitrate"].(float64))})
	}
	return out
}

func TestOBS30GetsALadder(t *testing.T) {
	c := ask(t, Options{RTMPPort: 1935, RTMPSPort: 1936}, request30)
	require.Nil(t, c.Status)
	require.Equal(t, "2024-06-04", c.Meta.SchemaVersion)
	require.Equal(t, "IVS", c.Meta.Service)
	require.Equal(t, []EndpointBody{
		{"RTMP", "rtmp://live.example.com:1935/live/{stream_key}", "live_key"}, {"RTMPS", "rtmps://live.example.com:1936/live/{stream_key}", "live_key"},
	}, c.IngestEndpoints)
	require.Equal(t, [][3]int{{1920, 1080, 9000}, {1280, 720, 4500}, {854, 480, 1800}, {426, 240, 600}}, sizes(c))
	for _, e := range c.EncoderConfigurations {
		require.Equal(t, "jim_nvenc", e.Type)
		require.Equal(t, FramerateBody{60, 1}, e.Framerate)
		require.InDelta(t, 2, e.Settings["keyint_sec"], 0)
		require.InDelta(t, 0, e.Settings["bf"], 0)
		require.Equal(t, "CBR", e.Settings["rate_control"])
	}
	require.Equal(t, "aac", c.AudioConfigurations.Live[0].Codec)
}

// TestOBS31UprightWithinItsBitrate: canvases, a list of encoders, and what the streamer allows.
func TestOBS31UprightWithinItsBitrate(t *testing.T) {
	c := ask(t, Options{RTMPPort: 1935}, request31)
	require.Nil(t, c.Status)
	require.Len(t, c.IngestEndpoints, 1)
	require.Equal(t, [][3]int{{1080, 1920, 6000}, {240, 426, 400}}, sizes(c))
	require.Equal(t, "h264_texture_amf", c.EncoderConfigurations[0].Type)
	require.Equal(t, FramerateBody{30000, 1001}, c.EncoderConfigurations[0].Framerate)
}

func TestMachinesWithoutAnEncoderOfTheirOwn(t *testing.T) {
	c := ask(t, Options{RTMPPort: 1935}, strings.Replace(request30, "4318", "1", 1))
	require.Len(t, c.EncoderConfigurations, 2)
	require.Equal(t, x264, c.EncoderConfigurations[0].Type)
	mac := strings.NewReplacer("4318", "1", `"Windows"`, `"macOS"`).Replace(request30)
	require.Equal(t, "com.apple.videotoolbox.videoencoder.ave.avc", ask(t, Options{RTMPPort: 1935}, mac).EncoderConfigurations[0].Type)
}

// TestRefusalsAreAnswers that OBS shows.
func TestRefusalsAreAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		o    Options
		body string
		says string
	}{
		"a wrong key":      {Options{RTMPPort: 1}, strings.Replace(request30, "live_key", "guess", 1), "stream key is not valid"},
		"no database":      {Options{RTMPPort: 1, Keys: keys{errors.New("gone")}}, request30, "cannot be checked"},
		"an old OBS":       {Options{RTMPPort: 1}, strings.Replace(request30, "2024-06-04", "2023-05-10", 1), "too old"},
		"no JSON":          {Options{RTMPPort: 1}, "{", "cannot be read"},
		"no picture":       {Options{RTMPPort: 1}, strings.Replace(request30, `"width":1920`, `"width":0`, 1), "Settings"},
		"no rate":          {Options{RTMPPort: 1}, strings.Replace(request30, `"denominator":1`, `"denominator":0`, 1), "cannot be streamed"},
		"too small a line": {Options{RTMPPort: 1}, strings.Replace(request30, `"maximum_aggregate_bitrate":null`, `"maximum_aggregate_bitrate":300`, 1), "too low"},
		"no RTMP":          {Options{}, request30, "no RTMP"},
	} {
		got := ask(t, c.o, c.body)
		require.Equal(t, "error", got.Status.Result, name)
		require.Contains(t, got.Status.HTMLEnglish, c.says, name)
		require.Empty(t, got.IngestEndpoints, name)
		require.Empty(t, got.EncoderConfigurations, name)
	}
	require.Nil(t, ask(t, Options{RTMPPort: 1}, strings.Replace(request31, newest, "2031-01-01", 1)).Status, "a newer schema")
}

// TestOverride is what a file for OBS says: the same as the answer to an OBS that has what is named, and no key unless there is one.
func TestOverride(t *testing.T) {
	o := Override{Width: 1920, Height: 1080, Framerate: FramerateBody{60, 1}, Encoder: "nvenc-obs30", Host: "live.example.com", RTMPPort: 1935, RTMPSPort: 1936, Key: "live_key"}
	got, err := o.Config()
	require.NoError(t, err)
	file, err := json.Marshal(got)
	require.NoError(t, err)
	answer := ask(t, Options{RTMPPort: 1935, RTMPSPort: 1936}, strings.Replace(request30, oldest, newest, 1))
	answer.Meta.ConfigID = got.Meta.ConfigID
	wanted, err := json.Marshal(answer)
	require.NoError(t, err)
	require.JSONEq(t, string(wanted), string(file))

	o.Key, o.Encoder, o.Tracks, o.Bitrate = "", "x264", 0, 5000
	got, err = o.Config()
	require.NoError(t, err)
	require.Empty(t, got.IngestEndpoints[0].Authentication)
	require.Len(t, got.EncoderConfigurations, 1, "two, of which the smaller has no room")

	for says, wrong := range map[string]func(*Override){
		"nvenc, nvenc-obs30, amf": func(o *Override) { o.Encoder = "h264" },
		"cannot be streamed":      func(o *Override) { o.Width = 0 },
		"too low":                 func(o *Override) { o.Bitrate = 100 },
		"no RTMP":                 func(o *Override) { o.RTMPPort, o.RTMPSPort = 0, 0 },
	} {
		o := o
		wrong(&o)
		_, err := o.Config()
		require.ErrorContains(t, err, says)
	}
	for _, name := range Encoders() {
		o.Encoder, o.Bitrate = name, 0
		got, err := o.Config()
		require.NoError(t, err)
		require.Len(t, got.EncoderConfigurations, map[bool]int{true: 2, false: 4}[name == "x264"], name)
	}
}

// TestLadders holds the rules over every canvas and bound.
func TestLadders(t *testing.T) {
	for _, size := range [][2]uint32{{3840, 2160}, {1920, 1080}, {1366, 768}, {1280, 720}, {640, 360}, {256, 144}, {720, 1280}, {128, 4096}} {
		for tracks := range uint32(12) {
			for _, total := range []uint32{0, 300, 700, 1500, 4000, 20000, 1 << 31} {
				l := ladderOf(size[0], size[1], 30, tracks, total)
				if total > 0 && total < leastSource+audioBitrate {
					require.LessOrEqual(t, len(l), 1)
				}
				sum := uint32(audioBitrate)
				for i, r := range l {
					sum += r.bitrate
					if i == 0 {
						require.Equal(t, size, [2]uint32{r.width, r.height})
						continue
					}
					require.Less(t, r.height, l[i-1].height)
					require.Zero(t, r.width%2+r.height%2)
				}
				if total > 0 && l != nil {
					require.LessOrEqual(t, sum, max(total, leastSource+audioBitrate))
				}
				require.LessOrEqual(t, len(l), mostTracks)
				if tracks > 0 {
					require.LessOrEqual(t, len(l), int(tracks))
				}
			}
		}
	}
	require.Nil(t, ladderOf(1920, 1080, 30, 4, 500))
}

// FuzzPost lets OBS say anything: the answer is whole, or an error that is shown.
func FuzzPost(f *testing.F) {
	f.Add([]byte(request30))
	f.Add([]byte(request31))
	f.Add([]byte(`{"schema_version":"9","authentication":"live_key","preferences":{"width":4294967295,"framerate":{"denominator":4294967295}}}`))
	o := Options{Keys: keys{}, Host: func(string) string { return "h" }, RTMPPort: 1935, Log: slog.New(slog.DiscardHandler)}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := o.answer(t.Context(), &input{RawBody: b})
		_, err := json.Marshal(c)
		require.NoError(t, err)
		if c.Status != nil {
			require.Equal(t, "error", c.Status.Result)
			require.NotEmpty(t, c.Status.HTMLEnglish)
			require.Empty(t, c.IngestEndpoints)
			return
		}
		require.Len(t, c.IngestEndpoints, 1)
		require.NotEmpty(t, c.EncoderConfigurations)
		require.LessOrEqual(t, len(c.EncoderConfigurations), mostTracks)
		for _, e := range c.EncoderConfigurations {
			require.NotZero(t, e.Width)
			require.NotZero(t, e.Height)
			require.NotEmpty(t, e.Type)
		}
	})
}
