package picture

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"mediad/api/object"
	"mediad/api/problem"
)

// Path is that below which pictures are served.
const Path = "/pictures/"

// hashLen is how many characters of a name are the hash of its bytes. The rest makes it one that was never given before: the object of the same
// picture, chosen again while its former one is being deleted, is another.
const hashLen = 32

// Name names a picture by its bytes. A name is never given twice.
func (p Picture) Name() string {
	var once [4]byte
	rand.Read(once[:]) // never fails
	return p.hash() + hex.EncodeToString(once[:]) + "." + p.Extension
}

// Is says whether a name is that of these bytes.
func (p Picture) Is(name string) bool {
	return strings.HasPrefix(name, p.hash()) && strings.HasSuffix(name, "."+p.Extension)
}

func (p Picture) hash() string {
	sum := sha256.Sum256(p.Data)
	return hex.EncodeToString(sum[:])[:hashLen]
}

// ContentType is what a picture of that name is.
func ContentType(name string) string {
	if strings.HasSuffix(name, ".png") {
		return "image/png"
	}
	return "image/jpeg"
}

// Key is where a picture of that name is stored.
func Key(name string) string { return "picture/" + name }

var nameRule = regexp.MustCompile(`^[0-9a-f]{40}\.(?:jpg|png)$`)

// Handler serves pictures by their names, which never come back with other bytes.
func Handler(store object.Store, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		r = problem.Identify(h, r)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		h.Set("Cache-Control", "no-store")
		name := strings.TrimPrefix(r.URL.Path, Path)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			problem.Write(w, r, problem.New(problem.MethodNotAllowed, "Pictures are read."))
			return
		}
		if !nameRule.MatchString(name) {
			problem.Write(w, r, problem.New(problem.NotFound, "There is no such picture."))
			return
		}
		if err := send(r.Context(), w, r, store, name); err != nil {
			if errors.Is(err, object.ErrNotExist) {
				problem.Write(w, r, problem.New(problem.NotFound, "There is no such picture."))
				return
			}
			if r.Context().Err() == nil {
				log.WarnContext(r.Context(), "picture not served", "request_id", problem.RequestID(r.Context()), "error", err)
			}
			problem.Write(w, r, problem.New(problem.StorageUnavailable, "The picture cannot be read now."))
		}
	})
}

// send answers with a picture. An error is one before anything was answered.
func send(ctx context.Context, w http.ResponseWriter, r *http.Request, store object.Store, name string) error {
	body, size, err := store.Open(ctx, Key(name))
	if err != nil {
		return err
	}
	defer body.Close()
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", `"`+name[:hashLen]+`"`)
	if match := r.Header.Get("If-None-Match"); match == "*" || strings.Contains(match, name[:hashLen]) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", ContentType(name))
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		// A write fails when the viewer has gone; what cannot be read any more shows in the length.
		_, _ = io.Copy(w, io.LimitReader(body, size))
	}
	return nil
}
