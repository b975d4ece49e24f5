package configs

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"mediad/configs/ladders"
)

// maxFile bounds what is read as configuration; a real one has a few kilobytes.
const maxFile = 1 << 20

// Loaded is a configuration with what there is to say about it.
type Loaded struct {
	*Config
	// Notes are remarks for the log: keys whose part is not built yet, unknown variables.
	Notes []string
	// Changed are the paths that file or environment set.
	Changed []string
}

// Load reads file (none when the name is empty) and then the environment, as os.Environ has it, over the defaults.
// The error names every fault with its line and the nearest right word.
func Load(file string, environ []string) (Loaded, error) {
	var text []byte
	if file != "" {
		info, err := os.Stat(file)
		if err != nil {
			return Loaded{}, fmt.Errorf("configuration: %w", err)
		}
		if info.Size() > maxFile {
			return Loaded{}, fmt.Errorf("configuration: %s has %d bytes, more than %d", file, info.Size(), maxFile)
		}
		if text, err = os.ReadFile(file); err != nil {
			return Loaded{}, fmt.Errorf("configuration: %w", err)
		}
	}
	return parse(file, text, environ)
}

func parse(file string, text []byte, environ []string) (Loaded, error) {
	c := Default()
	c.From = map[string]string{}
	l := loader{from: c.From, file: file, keys: map[string]Key{}, groups: map[string]bool{}}
	for _, k := range c.Keys() {
		l.keys[k.Path] = k
		for path := k.Path; ; {
			i := strings.LastIndexByte(path, '.')
			if i < 0 {
				break
			}
			path = path[:i]
			l.groups[path] = true
		}
	}
	l.readFile(text)
	l.readEnv(c, environ)
	l.check(c)
	if len(l.faults) > 0 {
		return Loaded{}, errors.Join(l.faults...)
	}
	for _, path := range l.changed {
		if k := l.keys[path]; k.Later && k.Text() != "" && k.Text() != Default().text(path) {
			l.notes = append(l.notes, fmt.Sprintf("%s is accepted but has no effect in this version", path))
		}
	}
	return Loaded{Config: c, Notes: l.notes, Changed: l.changed}, nil
}

// text is the value of a key as text.
func (c *Config) text(path string) string {
	for _, k := range c.Keys() {
		if k.Path == path {
			return k.Text()
		}
	}
	return ""
}

type loader struct {
	file    string
	keys    map[string]Key
	groups  map[string]bool // paths that hold keys below them
	faults  []error
	notes   []string
	changed []string
	from    map[string]string // Config.From
}

func (l *loader) faultf(line int, format string, args ...any) {
	l.faults = append(l.faults, fmt.Errorf("%s:%d: %s", l.file, line, fmt.Sprintf(format, args...)))
}

func (l *loader) readFile(text []byte) {
	if len(text) == 0 {
		return
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		l.faults = append(l.faults, fmt.Errorf("%s: %w", l.file, err))
		return
	}
	for _, doc := range file.Docs {
		if doc.Body != nil {
			l.mapping("", doc.Body)
		}
	}
}

func (l *loader) mapping(prefix string, n ast.Node) {
	switch n := n.(type) {
	case *ast.MappingNode:
		seen := map[string]bool{}
		for _, v := range n.Values {
			name := v.Key.String()
			if seen[name] {
				l.faultf(v.Key.GetToken().Position.Line, "%s stands twice", join(prefix, name))
			}
			seen[name] = true
			l.entry(prefix, v)
		}
	case *ast.MappingValueNode:
		l.entry(prefix, n)
	case *ast.NullNode:
	default:
		l.faultf(n.GetToken().Position.Line, "%q is not a list of keys", n.String())
	}
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

func (l *loader) entry(prefix string, v *ast.MappingValueNode) {
	path, line := join(prefix, v.Key.String()), v.Key.GetToken().Position.Line
	key, known := l.keys[path]
	switch body := v.Value.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		if !l.groups[path] {
			l.unknown(line, path, known)
			return
		}
		l.mapping(path, body)
	case *ast.NullNode:
		if !known && !l.groups[path] {
			l.unknown(line, path, known)
		}
	case *ast.SequenceNode:
		if !known {
			l.unknown(line, path, known)
			return
		}
		items := make([]string, 0, len(body.Values))
		for _, item := range body.Values {
			items = append(items, scalar(item))
		}
		list, ok := key.value.(lister)
		if !ok {
			l.faultf(line, "%s %v", path, errNotAList)
			return
		}
		l.set(line, path, list.SetList(items))
	default:
		if !known {
			l.unknown(line, path, known)
			return
		}
		l.set(line, path, key.value.Set(scalar(body)))
	}
}

func (l *loader) set(line int, path string, err error) {
	if err != nil {
		l.faultf(line, "%s: %v", path, err)
		return
	}
	if !slices.Contains(l.changed, path) {
		l.changed = append(l.changed, path)
	}
	l.from[path] = "file"
}

func (l *loader) unknown(line int, path string, known bool) {
	if known {
		l.faultf(line, "%s takes a value, it has no keys below it", path)
		return
	}
	names := slices.Collect(maps.Keys(l.keys))
	names = append(names, slices.Collect(maps.Keys(l.groups))...)
	l.faultf(line, "there is no key %s%s", path, DidYouMean(path, names))
}

// scalar is a node's text without YAML's quotes.
func scalar(n ast.Node) string {
	if s, ok := n.(*ast.StringNode); ok {
		return s.Value
	}
	return n.GetToken().Value
}

// readEnv lets MEDIAD_… override the file. A variable that names no key is told, not refused: container platforms put
// variables of their own (MEDIAD_PORT=tcp://…) beside ours.
func (l *loader) readEnv(c *Config, environ []string) {
	byEnv := map[string]string{}
	for path, k := range l.keys {
		byEnv[k.Env()] = path
	}
	for _, kv := range environ {
		name, text, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "MEDIAD_") {
			continue
		}
		switch name {
		case "MEDIAD_ADMIN_USERNAME":
			c.AdminUsername = text
			continue
		case "MEDIAD_ADMIN_PASSWORD":
			c.AdminPassword = text
			continue
		}
		path, known := byEnv[name]
		if !known {
			l.notes = append(l.notes, fmt.Sprintf("the environment has %s, which is no key%s", name, DidYouMean(name, slices.Collect(maps.Keys(byEnv)))))
			continue
		}
		if err := l.keys[path].value.Set(text); err != nil {
			l.faults = append(l.faults, fmt.Errorf("environment: %s: %w", name, err))
			continue
		}
		if !slices.Contains(l.changed, path) {
			l.changed = append(l.changed, path)
		}
		l.from[path] = "env"
	}
}

// check refuses what is right key by key but wrong together.
func (l *loader) check(c *Config) {
	fault := func(format string, args ...any) {
		l.faults = append(l.faults, fmt.Errorf("configuration: "+format, args...))
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		fault("tls.cert and tls.key come together")
	}
	if c.TLS.SelfSigned && c.TLS.Cert != "" {
		fault("tls.self_signed and tls.cert exclude each other")
	}
	if len(c.TLS.ACME.Domains) > 0 && (c.TLS.Cert != "" || c.TLS.SelfSigned) {
		fault("tls.acme.domains excludes tls.cert and tls.self_signed")
	}
	if c.HLS.SegmentTarget%1e9 != 0 {
		fault("hls.segment_target is %s, not whole seconds", formatDuration(c.HLS.SegmentTarget))
	}
	if c.HLS.Window < 6*c.HLS.SegmentTarget {
		fault("hls.window is %s, less than six segments of %s", formatDuration(c.HLS.Window), formatDuration(c.HLS.SegmentTarget))
	}
	if name := c.Transcode.Ladder; name != "off" {
		dir := ""
		if l.file != "" {
			dir = filepath.Join(filepath.Dir(l.file), "ladders")
		}
		rungs, err := ladders.Named(name, dir)
		if err != nil {
			fault("transcode.ladder: %w", err)
		} else {
			c.Transcode.Rungs = &rungs
		}
	}
	if c.DataDir == "" {
		fault("data_dir is empty")
	}
	if len(c.Database.Replicas) > 0 && c.PostgresURL() == "" {
		fault("database.replicas needs database.url to be postgres://…: SQLite has none")
	}
	if t, err := ParseBlobURL(c.Blob.URL); err == nil && t.Bucket != "" && (c.Blob.AccessKey == "" || c.Blob.SecretKey == "") {
		fault("blob.url names a bucket: set MEDIAD_BLOB_ACCESS_KEY and MEDIAD_BLOB_SECRET_KEY in the environment")
	}
	for _, origin := range c.HTTP.CORSOrigins {
		if u, err := url.Parse(origin); err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != origin || u.Host == "*" {
			fault("http.cors_origins has %q, which is no origin such as https://example.org", origin)
		}
	}
	if h := c.Site.IngestHost; strings.ContainsAny(h, "/ @") || strings.Contains(h, ":") && net.ParseIP(h) == nil {
		fault("site.ingest_host is %q, not a host alone such as in.example.org", h)
	}
	if u := c.Site.PublicURL; u != "" && !strings.HasPrefix(u, "http://") && !strings.HasPrefix(u, "https://") {
		fault("site.public_url is %q, it begins with neither http:// nor https://", u)
	}
}
