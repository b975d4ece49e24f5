//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// startOBS runs OBS Studio on a screen of its own, streaming as a user has it after typing server and key. x264 holds further
// encoder settings, such as keyint=60; without them OBS has its default of a key frame each 250 frames.
func startOBS(t testing.TB, server, key, x264 string) *process {
	t.Helper()
	home := t.TempDir()
	dir := filepath.Join(home, ".config", "obs-studio")
	write := func(name, text string) {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	write("global.ini", `[General]
FirstRun=true
LastVersion=486539266
InfoIncrement=99
EnableAutoUpdates=false
[Basic]
Profile=e2e
ProfileDir=e2e
SceneCollection=e2e
SceneCollectionFile=e2e
[BasicWindow]
SysTrayEnabled=false
WarnBeforeStartingStream=false
`)
	write("basic/profiles/e2e/basic.ini", fmt.Sprintf(`[General]
Name=e2e
[Output]
Mode=Simple
Reconnect=true
RetryDelay=1
MaxRetries=20
[SimpleOutput]
VBitrate=1000
ABitrate=128
StreamEncoder=x264
Preset=ultrafast
UseAdvanced=%t
x264Settings=%s
[Video]
BaseCX=640
BaseCY=360
OutputCX=640
OutputCY=360
FPSType=0
FPSCommon=30
[Audio]
SampleRate=48000
ChannelSetup=Stereo
`, x264 != "", x264))
	write("basic/profiles/e2e/service.json", fmt.Sprintf(`{"type":"rtmp_custom","settings":{"server":%q,"key":%q,"use_auth":false,"bwtest":false}}`, server, key))
	write("basic/scenes/e2e.json", `{"name":"e2e","current_scene":"Scene","current_program_scene":"Scene","scene_order":[{"name":"Scene"}],"sources":[
{"id":"scene","name":"Scene","settings":{"items":[{"name":"Colour","id":1,"visible":true,"pos":{"x":0,"y":0},"scale":{"x":1,"y":1}}],"id_counter":1,"custom_size":false}},
{"id":"color_source","versioned_id":"color_source_v3","name":"Colour","settings":{"color":4292030255,"width":640,"height":360}}]}`)
	cmd := exec.Command("xvfb-run", "-a", "-s", "-screen 0 1280x800x24", "obs", "--startstreaming", "--profile", "e2e", "--collection", "e2e", "--multi")
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+filepath.Join(home, ".config"), "XDG_RUNTIME_DIR="+home)
	return spawnCmd(t, cmd)
}

func TestOBSPublishes(t *testing.T) {
	t.Parallel()
	for name, x264 := range map[string]string{"key frame each 2 s": "keyint=60 min-keyint=60 scenecut=0", "default key frames": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			_, err := s.cli("stream", "create", "--slug", "obs-e2e", "--title", "OBS")
			require.NoError(t, err)
			key, err := s.cli("stream", "rotate-key", "--quiet", "obs-e2e")
			require.NoError(t, err)
			startOBS(t, "rtmp://"+s.rtmp+"/live", strings.TrimSpace(key), x264)
			waitFor(t, 60*time.Second, "OBS to be live", func() bool {
				r, err := s.client.Get(s.url("/live/obs-e2e/index.m3u8"))
				if err != nil {
					return false
				}
				r.Body.Close()
				return r.StatusCode == http.StatusOK
			})
			out, err := s.cli("hlslint", "--duration", "15s", s.url("/live/obs-e2e/index.m3u8"))
			require.NoError(t, err, out)
			require.NotContains(t, s.log.String(), strings.TrimSpace(key), "the key must not be logged")
		})
	}
}
