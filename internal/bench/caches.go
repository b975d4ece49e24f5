package bench

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Cache is a caching server in front of an origin, with the configuration that deploy/ holds.
type Cache struct {
	*Process
	HTTP  string // HOST:PORT
	HTTPS string // the same by TLS and HTTP/2; empty where it has none
	// Count tells how many requests below /live/ it answered so far, and how many of them from what it kept.
	Count func() (requests, hits int, err error)

	admin string // HOST:PORT of an edge's counters
}

// Caches are the kinds of Cache that there are configurations for.
var Caches = []string{"nginx", "varnish"}

// Edge is a kind, too: mediad itself in front of another, from bin beside deploy.
const Edge = "edge"

// StartCache runs a cache of a kind in front of an origin (HOST:PORT), with files below dir. deploy is the folder of that name.
func StartCache(kind, deploy, dir, origin string) (*Cache, error) {
	if kind == Edge {
		return StartEdge(filepath.Join(deploy, "..", "bin", "mediad"), dir, origin, nil)
	}
	if kind == "varnish" {
		return startVarnish(filepath.Join(deploy, "varnish"), dir, origin)
	}
	return startNginxCache(filepath.Join(deploy, "nginx"), dir, origin)
}

// StartEdge runs our binary as an edge in front of an origin (HOST:PORT), on the ports and the folder of an edge that ended before, or on new
// ones where before is nil. Its folder is dir.
func StartEdge(binary, dir, origin string, before *Cache) (*Cache, error) {
	c := &Cache{}
	if before == nil {
		p, err := ports(3)
		if err != nil {
			return nil, err
		}
		at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", p[i]) }
		c.HTTP, c.HTTPS, c.admin = at(0), at(1), at(2)
	} else {
		c.HTTP, c.HTTPS, c.admin = before.HTTP, before.HTTPS, before.admin
	}
	var err error
	c.Process, err = Start(Edge, []string{
		"MEDIAD_DATA_DIR=" + dir, "MEDIAD_EDGE_ORIGIN=http://" + origin, "MEDIAD_HTTP_ADDR=" + c.HTTP, "MEDIAD_HTTPS_ADDR=" + c.HTTPS, "MEDIAD_ADMIN_ADDR=" + c.admin,
		"MEDIAD_TLS_SELF_SIGNED=true", "MEDIAD_LIMITS_SCALE=0",
	}, binary, "serve", "--role", "edge")
	if err != nil {
		return nil, err
	}
	c.Count = func() (int, int, error) { return edgeCount(c.admin) }
	return c, c.await()
}

// edgeCount asks an edge for its counters. Who joined the request of another is no hit by its count, and one by those of nginx and Varnish.
func edgeCount(admin string) (requests, hits int, err error) {
	r, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, r.Body.Close()) }()
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), "} ")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil || !strings.HasPrefix(name, "mediad_edge_requests_total{") || strings.Contains(name, `kind="passed"`) {
			continue
		}
		requests += int(n)
		if strings.Contains(name, `result="hit"`) || strings.Contains(name, `result="collapsed"`) {
			hits += int(n)
		}
	}
	return requests, hits, nil
}

// ErrNoCache tells that a program or a module of it is not installed.
var ErrNoCache = errors.New("not installed: deploy/deps.sh test installs nginx, its Lua module and Varnish")

// setting is a line of a configuration that is another one here.
type setting struct{ from, to string }

// configure copies a file of a configuration, set for this machine. What is to be set must be there.
func configure(from, to string, settings ...setting) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	s := string(text)
	for _, one := range settings {
		if !strings.Contains(s, one.from) {
			return fmt.Errorf("%s has no %q", from, one.from)
		}
		s = strings.ReplaceAll(s, one.from, one.to)
	}
	return os.WriteFile(to, []byte(s), 0o644)
}

// nginxLua is where Debian's module lies; modules-enabled says the same, where it was not turned off.
const nginxLua = "/usr/lib/nginx/modules/ngx_http_lua_module.so"

func startNginxCache(deploy, dir, origin string) (*Cache, error) {
	if _, err := exec.LookPath("nginx"); err != nil {
		return nil, fmt.Errorf("nginx: %w", ErrNoCache)
	}
	if _, err := os.Stat(nginxLua); err != nil {
		return nil, fmt.Errorf("nginx with Lua: %w", ErrNoCache)
	}
	p, err := ports(3)
	if err != nil {
		return nil, err
	}
	plain, secure := fmt.Sprintf("127.0.0.1:%d", p[0]), fmt.Sprintf("127.0.0.1:%d", p[1])
	for _, file := range []string{"mediad-viewer.conf", "mediad-cached.conf", "mediad-site.conf"} {
		if err := configure(filepath.Join(deploy, file), filepath.Join(dir, file)); err != nil {
			return nil, err
		}
	}
	user := setting{"user www-data;", ""}
	if os.Getuid() == 0 {
		user.to = "user root;" // the test's own folders are for nobody else
	}
	log := filepath.Join(dir, "access.log")
	err = errors.Join(
		certificate(filepath.Join(dir, "mediad.crt"), filepath.Join(dir, "mediad.key")),
		configure(filepath.Join(deploy, "nginx.conf"), filepath.Join(dir, "nginx.conf"), user,
			setting{"worker_processes auto;", "worker_processes 2;"},
			setting{"pid /run/nginx.pid;", "pid " + filepath.Join(dir, "nginx.pid") + "; daemon off; error_log stderr warn;"},
			setting{"worker_connections 65536;", "worker_connections 8192;"},
			setting{"worker_rlimit_nofile 200000;", "worker_rlimit_nofile 20000;"},
			setting{"default_type application/octet-stream;", tempPaths(dir)}),
		configure(filepath.Join(deploy, "mediad.lua"), filepath.Join(dir, "mediad.lua"), setting{"8079 }", fmt.Sprintf("%d }", p[2])}),
		configure(filepath.Join(deploy, "mediad.conf"), filepath.Join(dir, "mediad.conf"),
			setting{"/var/log/nginx/mediad.log", log},
			setting{"listen 127.0.0.1:8079;", fmt.Sprintf("listen 127.0.0.1:%d;", p[2])},
			setting{"server 127.0.0.1:8080;", "server " + origin + ";"},
			setting{"/var/cache/nginx/mediad", filepath.Join(dir, "cache")},
			setting{"/etc/nginx/?.lua", filepath.Join(dir, "?.lua")},
			setting{"listen 80;", "listen " + plain + ";"}, setting{"listen [::]:80;", ""},
			setting{"listen 443 ssl http2;", "listen " + secure + " ssl http2;"}, setting{"listen [::]:443 ssl http2;", ""},
			setting{"/etc/nginx/mediad.crt", filepath.Join(dir, "mediad.crt")}, setting{"/etc/nginx/mediad.key", filepath.Join(dir, "mediad.key")}))
	if err != nil {
		return nil, err
	}
	process, err := Start("nginx", nil, "nginx", "-e", "stderr", "-c", filepath.Join(dir, "nginx.conf"))
	if err != nil {
		return nil, err
	}
	c := &Cache{Process: process, HTTP: plain, HTTPS: secure, Count: func() (int, int, error) { return nginxCount(log) }}
	return c, c.await()
}

func tempPaths(dir string) string {
	var b strings.Builder
	b.WriteString("default_type application/octet-stream;\n")
	for _, name := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&b, "    %s_temp_path %s;\n", name, filepath.Join(dir, name))
	}
	return b.String()
}

// await waits until the cache listens, and ends it where it does not.
func (c *Cache) await() error {
	for deadline := time.Now().Add(20 * time.Second); ; {
		nc, err := net.DialTimeout("tcp", c.HTTP, time.Second)
		if err == nil {
			return nc.Close()
		}
		select {
		case <-c.exited:
			return fmt.Errorf("%s ended: %s", c.Name, c.Output())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			c.Stop()
			return fmt.Errorf("%s does not listen: %w: %s", c.Name, err, c.Output())
		}
	}
}

// nginxCount reads what nginx logged.
func nginxCount(log string) (requests, hits int, err error) {
	f, err := os.Open(log)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var line struct{ Path, Cache string }
		if json.Unmarshal(lines.Bytes(), &line) != nil || !strings.HasPrefix(line.Path, "/live/") {
			continue // the last line may not be whole yet
		}
		requests++
		if line.Cache == "HIT" {
			hits++
		}
	}
	return requests, hits, nil
}

func startVarnish(deploy, dir, origin string) (*Cache, error) {
	if _, err := exec.LookPath("varnishd"); err != nil {
		return nil, fmt.Errorf("varnishd: %w", ErrNoCache)
	}
	host, port, err := net.SplitHostPort(origin)
	if err != nil {
		return nil, err
	}
	p, err := ports(1)
	if err != nil {
		return nil, err
	}
	vcl := filepath.Join(dir, "mediad.vcl")
	err = configure(filepath.Join(deploy, "mediad.vcl"), vcl, setting{`.host = "127.0.0.1";`, fmt.Sprintf(".host = %q;", host)},
		setting{`.port = "8080";`, fmt.Sprintf(".port = %q;", port)})
	if err != nil {
		return nil, err
	}
	work, at := filepath.Join(dir, "work"), fmt.Sprintf("127.0.0.1:%d", p[0])
	unit, err := os.ReadFile(filepath.Join(deploy, "varnish.conf"))
	if err != nil {
		return nil, err
	}
	args := []string{"-j", "none", "-F", "-n", work, "-a", at, "-f", vcl, "-s", "malloc,256m"}
	for words := strings.Fields(string(unit)); len(words) > 1; words = words[1:] {
		if words[0] == "-p" { // as the unit has them
			args = append(args, "-p", words[1])
		}
	}
	process, err := Start("varnish", nil, "varnishd", args...)
	if err != nil {
		return nil, err
	}
	c := &Cache{Process: process, HTTP: at, Count: func() (int, int, error) { return varnishCount(work) }}
	return c, c.await()
}

// varnishCount asks Varnish for its counters. What was passed on is not counted: nothing below /live/ is.
func varnishCount(work string) (requests, hits int, err error) {
	out, err := exec.Command("varnishstat", "-n", work, "-j").Output()
	if err != nil {
		return 0, 0, fmt.Errorf("varnishstat: %w", err)
	}
	var stat struct {
		Counters map[string]struct{ Value int }
	}
	if err := json.Unmarshal(out, &stat); err != nil {
		return 0, 0, fmt.Errorf("varnishstat: %w", err)
	}
	value := func(name string) int { return stat.Counters["MAIN."+name].Value }
	hits = value("cache_hit")
	return hits + value("cache_miss") + value("cache_hitmiss") + value("cache_hitpass"), hits, nil
}

// certificate makes a self-signed pair for loopback.
func certificate(certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
}
