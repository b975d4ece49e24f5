package ladders

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLaddersThatComeWithTheServer(t *testing.T) {
	require.Equal(t, []string{"auto", "mobile"}, Names())
	for _, name := range Names() {
		l, err := Named(name, "")
		require.NoError(t, err)
		require.NotEmpty(t, l.Rungs)
	}
}

func TestAnOperatorsLadderGoesFirst(t *testing.T) {
	dir := t.TempDir()
	text := "rungs:\n  - {name: tiny, lines: 120, kbps_30: 100, kbps_60: 150}\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mobile.yaml"), []byte(text), 0o600))
	l, err := Named("mobile", dir)
	require.NoError(t, err)
	require.Equal(t, Ladder{Rungs: []Rung{{"tiny", 120, 100, 150}}}, l)
	l, err = Named("auto", dir)
	require.NoError(t, err)
	require.Equal(t, FitMachine, l.Fit)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "auto.yaml"), []byte(strings.Repeat("#", maxFile+1)), 0o600))
	_, err = Named("auto", dir)
	require.ErrorContains(t, err, "more than")
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	for name, want := range map[string]string{"../auto": "a name has letters", "fast": "there are off, auto, mobile", "": "a name has letters"} {
		_, err := Named(name, "")
		require.ErrorContains(t, err, want)
	}
	rung := func(s string) string { return "rungs: [" + s + "]" }
	for text, want := range map[string]string{
		"rungs: []":                 "0 rungs",
		"fit: me\n" + rung(""):      "neither empty nor machine",
		"rungs: [{width: 3}]":       "unknown field",
		rung("{name: source}"):      "neither source nor audio",
		rung("{name: a/b}"):         "small letters",
		rung("{name: a, lines: 7}"): "not an even number",
		rung("{name: a, lines: 320, kbps_30: 3, kbps_60: 4}"):                                                        "bitrates of",
		rung("{name: a, lines: 320, kbps_30: 300, kbps_60: 200}"):                                                    "bitrates of",
		rung("{name: a, lines: 320, kbps_30: 300, kbps_60: 400}, {name: b, lines: 320, kbps_30: 300, kbps_60: 400}"): "not smaller than a",
		rung("{name: a, lines: 320, kbps_30: 300, kbps_60: 400}, {name: a, lines: 240, kbps_30: 300, kbps_60: 400}"): "named twice",
	} {
		_, err := parse([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}
