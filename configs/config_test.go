package configs

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReferenceHoldsEveryKeyWithItsDefault(t *testing.T) {
	got, err := parse("mediad.yaml", Reference, nil)
	require.NoError(t, err)
	want := Default()
	wantKeys := want.Keys()
	set := map[string]bool{}
	for _, path := range got.Changed {
		set[path] = true
	}
	for i, k := range got.Keys() {
		require.True(t, set[k.Path], "the reference does not name %s", k.Path)
		require.Equal(t, wantKeys[i].Text(), k.Text(), k.Path)
	}
	lines := strings.Split(string(Reference), "\n")
	for _, k := range want.Keys() {
		if strings.HasPrefix(k.Path, "limits.") {
			continue
		}
		name := k.Path[strings.LastIndexByte(k.Path, '.')+1:]
		later := false
		for _, line := range lines {
			trimmed := strings.TrimSpace(line)
			if (strings.HasPrefix(trimmed, name+":") || strings.HasPrefix(trimmed, k.Path+":")) && strings.Contains(line, "(later)") {
				later = true
			}
		}
		if k.Later {
			require.True(t, later || strings.Contains(k.Path, "addr"), "%s is not marked (later) in the reference", k.Path)
		}
	}
}

func TestFaultsNameLineAndNearestWord(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"misspelt key":       {"http:\n  adr: :80\n", `f.yaml:2: there is no key http.adr; did you mean http.addr?`},
		"misspelt group":     {"htpp:\n  addr: :80\n", `f.yaml:1: there is no key htpp; did you mean http?`},
		"swapped letters":    {"hls:\n  widnow: 30s\n", `did you mean hls.window?`},
		"bad duration":       {"hls:\n  part_target: fast\n", `f.yaml:2: hls.part_target: "fast" is not a duration`},
		"duration too small": {"hls.part_target: 1ms\n", `f.yaml:1: hls.part_target: 1ms is outside 100ms to 1s`},
		"bad bool":           {"ingest:\n  open: maybe\n", `"maybe" is neither true nor false`},
		"bad enum":           {"transcode:\n  hwaccel: vapi\n", `did you mean vaapi?`},
		"bad address":        {"http:\n  addr: \"8080\"\n", `is not an address`},
		"bad port":           {"http:\n  addr: \":99999\"\n", `no port from 0 to 65535`},
		"edge of a path":     {"edge:\n  origin: https://a.example/live\n", `f.yaml:2: edge.origin: is not of the form https://host`},
		"edge of no scheme":  {"edge.origin: a.example\n", `is not of the form`},
		"bad network":        {"http:\n  trusted_proxies: [home]\n", `neither an address nor a network`},
		"list for a scalar":  {"data_dir: [a, b]\n", `data_dir takes one value, not a list`},
		"keys below a value": {"data_dir:\n  path: x\n", `data_dir takes a value, it has no keys below it`},
		"key twice":          {"http:\n  addr: :1\n  addr: :2\n", `addr`},
		"not yaml":           {"http: [\n", `f.yaml`},
		"half a pair":        {"tls:\n  cert: a.pem\n", `tls.cert and tls.key come together`},
		"two sources":        {"tls:\n  cert: a\n  key: b\n  self_signed: true\n", `exclude each other`},
		"half seconds":       {"hls:\n  segment_target: 2500ms\n", `not whole seconds`},
		"small window":       {"hls:\n  segment_target: 4s\n  window: 12s\n", `less than six segments`},
		"bad quota":          {"limits:\n  login: many\n", `is not a quota such as 300/60s`},
		"bad share":          {"record.min_free: ten\n", `is not a share such as 10%`},
		"no number":          {"limits.scale: NaN\n", `NaN is outside`},
		"no share":           {"record.min_free: NaN%\n", `is not a share such as 10%`},
		"any origin":         {"http:\n  cors_origins: [\"*\"]\n", `no origin such as https://example.org`},
		"origin with a path": {"http:\n  cors_origins: [\"https://example.org/\"]\n", `no origin such as https://example.org`},
		"host with a port":   {"site:\n  ingest_host: example.org:1935\n", `not a host alone`},
		"no folder":          {"data_dir: \"\"\n", `data_dir is empty`},
		"misspelt scheme":    {"database:\n  url: postgers://u:hidden@h/n\n", `f.yaml:2: database.url: begins with postgers://, not with postgres://; did you mean postgres?`},
		"misspelt engine":    {"database:\n  url: sqlit\n", `did you mean sqlite?`},
		"bad parameter":      {"database.url: postgres://u:hidden@h/n?sslmod=require\n", `did you mean sslmode?`},
		"bad sslmode":        {"database.url: postgres://u:hidden@h/n?sslmode=verifyfull\n", `did you mean verify-full?`},
		"too many":           {"database.url: postgres://u:hidden@h/n?pool_max_conns=9999\n", `pool_max_conns that is not 4 to 1000`},
		"no Redis URL":       {"redis.url: host:6379\n", `is no URL`},
		"misspelt Redis":     {"redis:\n  url: rediis://:hidden@h\n", `f.yaml:2: redis.url: begins with rediis://, not with redis://; did you mean redis?`},
		"no Redis host":      {"redis.url: redis://:hidden@/0\n", `names no host`},
		"no Redis number":    {"redis.url: redis://:hidden@h/zero\n", `no number`},
		"Redis parameters":   {"redis.url: redis://h/0?password=hidden\n", `has parameters`},
		"no database":        {"database.url: postgres://u:hidden@h\n", `names no database`},
		"no database host":   {"database.url: postgres:///n\n", `names no host`},
		"bad password":       {"database.url: postgres://u:hidden%zz@h/n\n", `percent-encode`},
		"bad replica":        {"database:\n  url: postgres://h/n\n  replicas: [postgres://h/n, mysql://u:hidden@h/n]\n", `f.yaml:3: database.replicas: item 2 begins with mysql://`},
		"replica of a file":  {"database:\n  replicas: [postgres://h/n]\n", `database.replicas needs database.url`},
		"bad url":            {"site:\n  public_url: example.org\n", `begins with neither`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse("f.yaml", []byte(c.text), nil)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "hidden")
		})
	}
}

func TestEveryFaultIsTold(t *testing.T) {
	_, err := parse("f.yaml", []byte("a: 1\nb: 2\n"), []string{"MEDIAD_HLS_WINDOW=long"})
	require.ErrorContains(t, err, "f.yaml:1:")
	require.ErrorContains(t, err, "f.yaml:2:")
	require.ErrorContains(t, err, "MEDIAD_HLS_WINDOW")
}

func TestEnvironmentOverridesFile(t *testing.T) {
	got, err := parse("f.yaml", []byte("hls:\n  part_target: 300ms\nhttp:\n  addr: \":1\"\n"),
		[]string{"MEDIAD_HLS_PART_TARGET=400ms", "MEDIAD_INGEST_OPEN=1", "MEDIAD_HTTP_CORS_ORIGINS=https://a, https://b",
			"MEDIAD_LIMITS_SCALE=0", "MEDIAD_ADMIN_USERNAME=root", "MEDIAD_ADMIN_PASSWORD=long enough", "MEDIAD_PORT=tcp://1", "PATH=x"})
	require.NoError(t, err)
	require.Equal(t, 400*time.Millisecond, got.HLS.PartTarget)
	require.Equal(t, ":1", got.HTTP.Addr)
	require.True(t, got.Ingest.Open)
	require.Equal(t, []string{"https://a", "https://b"}, got.HTTP.CORSOrigins)
	require.Zero(t, got.Limits.Scale)
	require.Equal(t, "root", got.AdminUsername)
	require.Len(t, got.Notes, 1)
	require.Contains(t, got.Notes[0], "MEDIAD_PORT")
}

func TestKeysOfLaterPartsAreToldInTheLog(t *testing.T) {
	got, err := parse("f.yaml", []byte("gifts:\n  share_bp: 6000\ndatabase:\n  url: sqlite\n  replicas: []\n"), nil)
	require.NoError(t, err)
	require.Equal(t, []string{"gifts.share_bp is accepted but has no effect in this version"}, got.Notes)
}

// TestEveryKeyIsAnEnvironmentVariable: a variable named after the path sets what the file would.
func TestEveryKeyIsAnEnvironmentVariable(t *testing.T) {
	for _, k := range Default().Keys() {
		require.Equal(t, "MEDIAD_"+strings.ToUpper(strings.ReplaceAll(k.Path, ".", "_")), k.Env())
		got, err := parse("", nil, []string{k.Env() + "=" + k.Text()})
		require.NoError(t, err, k.Path)
		require.Equal(t, []string{k.Path}, got.Changed)
		require.Empty(t, got.Notes, k.Path)
	}
}

func TestPrintedValuesSetTheSameAgain(t *testing.T) {
	c := Default()
	for _, k := range c.Keys() {
		require.NoError(t, k.value.Set(k.Text()), k.Path)
	}
	require.Equal(t, Default(), c)
}

func TestDurationsPrintShort(t *testing.T) {
	for d, want := range map[time.Duration]string{2 * time.Hour: "2h", time.Minute: "1m", 90 * time.Second: "1m30s", 14 * day: "14d", 200 * time.Millisecond: "200ms", 2 * time.Second: "2s"} {
		require.Equal(t, want, formatDuration(d))
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Reference)
	f.Add([]byte("http:\n  addr: [a]\n"))
	f.Add([]byte("a: &x [*x]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _ = parse("f.yaml", text, nil)
	})
}
