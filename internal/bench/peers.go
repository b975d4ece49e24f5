package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Peer is a streaming server that takes RTMP and answers HLS, ours or another.
type Peer struct {
	*Process
	RTMP string // rtmp://HOST:PORT/live/
	HTTP string // HOST:PORT
	RTSP string // rtsp://HOST:PORT/live/; empty where that is not turned on
	SRT  string // the URL where the stream bench is published; the same
	// Playlist is the path of a stream's first playlist.
	Playlist func(stream string) string
	// WebRTC is the URL where a stream is published, whip, or played, whep; nil where that is not turned on.
	WebRTC func(how, stream string) string
}

func ports(n int) ([]int, error) {
	out := make([]int, n)
	for i := range out {
		p, err := FreePort()
		if err != nil {
			return nil, err
		}
		out[i] = p
	}
	return out, nil
}

// StartMediad runs our binary on a data folder of its own below dir; env holds further settings.
func StartMediad(binary, dir string, env ...string) (*Peer, error) {
	p, err := ports(4)
	if err != nil {
		return nil, err
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", p[i]) }
	settings := append([]string{
		"MEDIAD_DATA_DIR=" + dir, "MEDIAD_HTTP_ADDR=" + at(0), "MEDIAD_RTMP_ADDR=" + at(1), "MEDIAD_ADMIN_ADDR=" + at(2), "MEDIAD_HTTPS_ADDR=" + at(3),
		"MEDIAD_RTMPS_ADDR=", "MEDIAD_RTSP_ADDR=", "MEDIAD_SRT_ADDR=", "MEDIAD_WEBRTC_ADDR=",
		"MEDIAD_INGEST_OPEN=true", "MEDIAD_LIMITS_SCALE=0", "MEDIAD_LOG_LEVEL=warn",
		"MEDIAD_TRANSCODE_LADDER=off", // as nothing is encoded by the peers
	}, env...)
	process, err := Start("mediad", settings, binary, "serve")
	if err != nil {
		return nil, err
	}
	return &Peer{Process: process, RTMP: "rtmp://" + at(1) + "/live/", HTTP: at(0),
		Playlist: func(s string) string { return "/live/" + s + "/index.m3u8" }}, nil
}

// StartMediadWebRTC is StartMediad with its port for ICE.
func StartMediadWebRTC(binary, dir string) (*Peer, error) {
	p, err := ports(1)
	if err != nil {
		return nil, err
	}
	peer, err := StartMediad(binary, dir, fmt.Sprintf("MEDIAD_WEBRTC_ADDR=127.0.0.1:%d", p[0]))
	if err != nil {
		return nil, err
	}
	peer.WebRTC = func(how, stream string) string { return "http://" + peer.HTTP + "/" + how + "/" + stream }
	return peer, nil
}

// StartMediadAll is StartMediad with all protocols on.
func StartMediadAll(binary, dir string) (*Peer, error) {
	p, err := ports(3)
	if err != nil {
		return nil, err
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", p[i]) }
	peer, err := StartMediad(binary, dir, "MEDIAD_WEBRTC_ADDR="+at(0), "MEDIAD_RTSP_ADDR="+at(1), "MEDIAD_SRT_ADDR="+at(2))
	if err != nil {
		return nil, err
	}
	peer.WebRTC = func(how, stream string) string { return "http://" + peer.HTTP + "/" + how + "/" + stream }
	peer.RTSP, peer.SRT = "rtsp://"+at(1)+"/live/", "srt://"+at(2)+"?pkt_size=1316&streamid=publish:bench"
	return peer, nil
}

// StartMediaMTXAll runs the given binary with all protocols on, and Low-Latency HLS always, with parts as long as ours.
func StartMediaMTXAll(binary, dir string) (*Peer, error) {
	p, err := ports(6)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "mediamtx.yml")
	text := fmt.Sprintf(`logLevel: warn
moq: no
rtmp: yes
rtmpAddress: 127.0.0.1:%d
rtsp: yes
rtspTransports: [tcp]
rtspAddress: 127.0.0.1:%d
srt: yes
srtAddress: 127.0.0.1:%d
webrtc: yes
webrtcAddress: 127.0.0.1:%d
webrtcLocalUDPAddress: 127.0.0.1:%d
webrtcAdditionalHosts: [127.0.0.1]
hls: yes
hlsAddress: 127.0.0.1:%d
hlsAlwaysRemux: yes
hlsVariant: lowLatency
hlsSegmentCount: 7
hlsSegmentDuration: 1s
hlsPartDuration: 200ms
paths:
  all_others:
`, p[0], p[1], p[2], p[3], p[4], p[5])
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	process, err := Start("MediaMTX", nil, binary, config)
	if err != nil {
		return nil, err
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", p[i]) }
	return &Peer{
		Process: process, RTMP: "rtmp://" + at(0) + "/live/", RTSP: "rtsp://" + at(1) + "/live/", HTTP: at(5),
		SRT:      "srt://" + at(2) + "?pkt_size=1316&streamid=publish:live/bench",
		Playlist: func(s string) string { return "/live/" + s + "/index.m3u8" },
		WebRTC:   func(how, stream string) string { return "http://" + at(3) + "/live/" + stream + "/" + how },
	}, nil
}

// StartMediaMTXWebRTC runs the given binary with RTMP and WebRTC alone.
func StartMediaMTXWebRTC(binary, dir string) (*Peer, error) {
	p, err := ports(3)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "mediamtx.yml")
	text := fmt.Sprintf(`logLevel: warn
rtsp: no
srt: no
moq: no
hls: no
rtmp: yes
rtmpAddress: 127.0.0.1:%d
webrtc: yes
webrtcAddress: 127.0.0.1:%d
webrtcLocalUDPAddress: 127.0.0.1:%d
webrtcAdditionalHosts: [127.0.0.1]
paths:
  all_others:
`, p[0], p[1], p[2])
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	process, err := Start("MediaMTX", nil, binary, config)
	if err != nil {
		return nil, err
	}
	peer := &Peer{Process: process, RTMP: fmt.Sprintf("rtmp://127.0.0.1:%d/live/", p[0]), HTTP: fmt.Sprintf("127.0.0.1:%d", p[1])}
	peer.WebRTC = func(how, stream string) string { return "http://" + peer.HTTP + "/live/" + stream + "/" + how }
	return peer, nil
}

// StartMediaMTX runs the given binary with Low-Latency HLS always on, with parts as long as ours.
func StartMediaMTX(binary, dir string) (*Peer, error) {
	p, err := ports(2)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "mediamtx.yml")
	text := fmt.Sprintf(`logLevel: warn
rtsp: no
srt: no
webrtc: no
moq: no
rtmp: yes
rtmpAddress: 127.0.0.1:%d
hls: yes
hlsAddress: 127.0.0.1:%d
hlsAlwaysRemux: yes
hlsVariant: lowLatency
hlsSegmentCount: 7
hlsSegmentDuration: 1s
hlsPartDuration: 200ms
paths:
  all_others:
`, p[0], p[1])
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	process, err := Start("MediaMTX", nil, binary, config)
	if err != nil {
		return nil, err
	}
	return &Peer{Process: process, RTMP: fmt.Sprintf("rtmp://127.0.0.1:%d/live/", p[0]), HTTP: fmt.Sprintf("127.0.0.1:%d", p[1]),
		Playlist: func(s string) string { return "/live/" + s + "/index.m3u8" }}, nil
}

// StartNginx runs Debian's nginx with its RTMP module below dir; hls turns classic HLS on. files is served as /files/.
func StartNginx(dir string, hls bool, files string) (*Peer, error) {
	p, err := ports(2)
	if err != nil {
		return nil, err
	}
	onOff := "off"
	if hls {
		onOff = "on"
	}
	module := "/usr/lib/nginx/modules/ngx_rtmp_module.so"
	for _, sub := range []string{"hls", "body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	text := strings.NewReplacer("MODULE", module, "DIR", dir, "RTMPPORT", fmt.Sprint(p[0]), "HTTPPORT", fmt.Sprint(p[1]), "ONOFF", onOff, "FILES", files).Replace(`
user root;
daemon off;
worker_processes 1;
pid DIR/nginx.pid;
error_log DIR/error.log warn;
load_module MODULE;
events { worker_connections 4096; }
rtmp {
  server {
    listen 127.0.0.1:RTMPPORT;
    application live {
      live on;
      hls ONOFF;
      hls_path DIR/hls;
      hls_fragment 2s;
      hls_playlist_length 30s;
    }
  }
}
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi; uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
  types { application/vnd.apple.mpegurl m3u8; video/mp2t ts; video/mp4 m4s mp4; }
  server {
    listen 127.0.0.1:HTTPPORT;
    location /hls/ { root DIR; }
    location /files/ { alias FILES/; }
  }
}
`)
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	process, err := Start("nginx", nil, "nginx", "-c", config, "-p", dir, "-e", filepath.Join(dir, "error.log"))
	if err != nil {
		return nil, err
	}
	return &Peer{Process: process, RTMP: fmt.Sprintf("rtmp://127.0.0.1:%d/live/", p[0]), HTTP: fmt.Sprintf("127.0.0.1:%d", p[1]),
		Playlist: func(s string) string { return "/hls/" + s + ".m3u8" }}, nil
}
