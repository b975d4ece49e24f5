package web

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// file is one file of the build with the variants that were compressed beside it.
type file struct {
	plain, gzip, brotli []byte // the latter two are nil where compression gained nothing
	contentType         string
	tag                 string // of the plain bytes, without quotes
	cache               string
	public              bool // fetched by its own path; pages are not, they have routes
}

const (
	immutable  = "public, max-age=31536000, immutable"
	revalidate = "no-cache"
)

// load reads every file of the build. Compressed variants are joined to the file they stand beside.
func load(files fs.FS) (map[string]*file, error) {
	loaded := map[string]*file{}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() || strings.HasSuffix(name, ".gz") || strings.HasSuffix(name, ".br") || strings.HasPrefix(path.Base(name), ".") {
			return nil
		}
		loaded[name], err = read(files, name)
		return err
	})
	return loaded, err
}

func read(files fs.FS, name string) (*file, error) {
	plain, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(plain)
	f := &file{
		plain:       plain,
		contentType: contentType(name),
		tag:         hex.EncodeToString(sum[:10]),
		cache:       revalidate,
		public:      path.Ext(name) != ".html" && name != manifestName,
	}
	if strings.HasPrefix(name, "assets/") { // named by their content
		f.cache = immutable
	}
	f.gzip, _ = fs.ReadFile(files, name+".gz") // an absent variant leaves nil
	f.brotli, _ = fs.ReadFile(files, name+".br")
	return f, nil
}

// contentType does not ask the system's tables: a machine that maps .js to text/plain would break every page.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".json", ".map":
		return "application/json"
	case ".webmanifest":
		return "application/manifest+json"
	case ".woff2":
		return "font/woff2"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

func (f *file) serve(w http.ResponseWriter, r *http.Request, status int) {
	body, tag := f.plain, f.tag
	header := w.Header()
	if f.gzip != nil || f.brotli != nil {
		header.Add("Vary", "Accept-Encoding")
		accepted := r.Header.Get("Accept-Encoding")
		switch {
		case f.brotli != nil && accepts(accepted, "br"):
			body, tag = f.brotli, f.tag+"-br"
			header.Set("Content-Encoding", "br")
		case f.gzip != nil && accepts(accepted, "gzip"):
			body, tag = f.gzip, f.tag+"-gz"
			header.Set("Content-Encoding", "gzip")
		}
	}
	header.Set("Cache-Control", f.cache)
	if status == http.StatusOK {
		header.Set("ETag", `"`+tag+`"`)
		if matches(r.Header.Values("If-None-Match"), tag) {
			header.Del("Content-Encoding")
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	header.Set("Content-Type", f.contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the reader has gone: nobody is left to tell
	}
}

func accepts(header, encoding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(name, encoding) {
			return quality(params) > 0
		}
	}
	return false
}

// matches compares weakly, as RFC 9110 section 13.1.2 asks for If-None-Match.
func matches(headers []string, tag string) bool {
	for _, header := range headers {
		for part := range strings.SplitSeq(header, ",") {
			part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
			if part == "*" || part == `"`+tag+`"` {
				return true
			}
		}
	}
	return false
}
