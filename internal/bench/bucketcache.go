package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// StartBucketCache runs the nginx of deploy/nginx-bucket in front of a bucket at an S3 server (HOST:PORT), with files below dir. deploy is the
// folder of that name.
func StartBucketCache(deploy, dir, server, bucket string) (*Cache, error) {
	if _, err := exec.LookPath("nginx"); err != nil {
		return nil, fmt.Errorf("nginx: %w", ErrNoCache)
	}
	p, err := ports(2)
	if err != nil {
		return nil, err
	}
	deploy = filepath.Join(deploy, "nginx-bucket")
	plain, secure := fmt.Sprintf("127.0.0.1:%d", p[0]), fmt.Sprintf("127.0.0.1:%d", p[1])
	log := filepath.Join(dir, "access.log")
	user := setting{"user www-data;", ""}
	if os.Getuid() == 0 {
		user.to = "user root;" // the test's own folders are for nobody else
	}
	err = errors.Join(
		certificate(filepath.Join(dir, "bucket.crt"), filepath.Join(dir, "bucket.key")),
		configure(filepath.Join(deploy, "bucket-site.conf"), filepath.Join(dir, "bucket-site.conf")),
		configure(filepath.Join(deploy, "bucket-object.conf"), filepath.Join(dir, "bucket-object.conf")),
		configure(filepath.Join(deploy, "nginx.conf"), filepath.Join(dir, "nginx.conf"), user,
			setting{"worker_processes auto;", "worker_processes 2;"},
			setting{"pid /run/nginx.pid;", "pid " + filepath.Join(dir, "nginx.pid") + "; daemon off; error_log stderr warn;"},
			setting{"worker_connections 65536;", "worker_connections 8192;"},
			setting{"worker_rlimit_nofile 200000;", "worker_rlimit_nofile 20000;"},
			setting{"default_type application/octet-stream;", tempPaths(dir)}),
		configure(filepath.Join(deploy, "bucket.conf"), filepath.Join(dir, "bucket.conf"),
			setting{"/var/log/nginx/bucket.log", log},
			setting{"server 127.0.0.1:9000;", "server " + server + ";"},
			setting{`"127.0.0.1:9000"`, `"` + server + `"`},
			setting{"http://bucket/mediad", "http://bucket/" + bucket},
			setting{"/var/cache/nginx/bucket", filepath.Join(dir, "cache")},
			setting{"listen 80;", "listen " + plain + ";"}, setting{"listen [::]:80;", ""},
			setting{"listen 443 ssl http2;", "listen " + secure + " ssl http2;"}, setting{"listen [::]:443 ssl http2;", ""},
			setting{"/etc/nginx/bucket.crt", filepath.Join(dir, "bucket.crt")}, setting{"/etc/nginx/bucket.key", filepath.Join(dir, "bucket.key")}))
	if err != nil {
		return nil, err
	}
	process, err := Start("nginx", nil, "nginx", "-e", "stderr", "-c", filepath.Join(dir, "nginx.conf"))
	if err != nil {
		return nil, err
	}
	c := &Cache{Process: process, HTTP: plain, HTTPS: secure, Count: func() (int, int, error) { return bucketCount(log) }}
	return c, c.await()
}

// bucketCount reads what nginx logged of media and playlists.
func bucketCount(log string) (requests, hits int, err error) {
	f, err := os.Open(log)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var line struct {
			Path, Cache string
			Status      int
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Status >= 400 || !strings.HasPrefix(line.Path, "/live/") && !strings.HasPrefix(line.Path, "/vod/") {
			continue // the last line may not be whole yet
		}
		requests++
		switch line.Cache {
		case "HIT", "UPDATING", "STALE":
			hits++
		}
	}
	return requests, hits, nil
}
