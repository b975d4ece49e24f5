package export

import (
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"mediad/api/object"
	"mediad/api/problem"
	"mediad/store/db"
)

// Path is that below which exports are downloaded.
const Path = "/exports/"

// linkPurpose names the signature of links to the seal.
const linkPurpose = "exports.link"

// downloadTimeout is how long a download may take.
const downloadTimeout = 30 * time.Minute

// link is where an export is downloaded by whoever has it, without signing in; nil where it cannot be.
func (s *Service) link(e db.Export) *string {
	if e.State != db.ExportReady || s.over(e) {
		return nil
	}
	at := strings.TrimSuffix(s.o.PublicURL, "/") + Path + e.ID + "?sig=" + s.o.Secrets.Index(linkPurpose, e.BlobKey)
	return &at
}

// signed says whether a signature is that of the export's link.
func (s *Service) signed(e db.Export, signature string) bool {
	for _, good := range s.o.Secrets.Indexes(linkPurpose, e.BlobKey) {
		if subtle.ConstantTimeCompare([]byte(good), []byte(signature)) == 1 {
			return true
		}
	}
	return false
}

var idRule = regexp.MustCompile(`^[0-9a-f-]{36}$`)

// ServeHTTP lets exports be downloaded by their signed links.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	r = problem.Identify(h, r)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer") // the address is the key
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		problem.Write(w, r, problem.New(problem.MethodNotAllowed, "Exports are read."))
		return
	}
	if p := s.send(r.Context(), w, r); p != nil {
		problem.Write(w, r, p)
	}
}

// send answers with an export; a problem is one before anything was answered.
func (s *Service) send(ctx context.Context, w http.ResponseWriter, r *http.Request) *problem.Problem {
	none := problem.New(problem.NotFound, "There is no such export, or it can be downloaded no more.")
	id := strings.TrimPrefix(r.URL.Path, Path)
	if !idRule.MatchString(id) {
		return none
	}
	e, err := s.o.DB.Read(ctx).FindExport(id)
	switch {
	case errors.Is(err, db.ErrNotFound):
		return none
	case err != nil:
		return s.failed(ctx, err)
	case e.State != db.ExportReady || s.over(e) || !s.signed(e, r.URL.Query().Get("sig")):
		return none
	}
	body, size, err := s.o.Objects.Store().Open(ctx, e.BlobKey)
	switch {
	case errors.Is(err, object.ErrNotExist):
		return none
	case err != nil:
		s.o.Log.WarnContext(ctx, "export not served", "export_id", e.ID, "request_id", problem.RequestID(ctx), "error", err)
		return problem.New(problem.StorageUnavailable, "The export cannot be read now. Try again.")
	}
	defer body.Close()
	// A deadline of its own: the one of pages is too short for a slow line.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(downloadTimeout))
	h := w.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", `attachment; filename="`+fileName(e.CreatedAt.Time())+`"`)
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		// A write fails when the caller has gone; what cannot be read any more shows in the length.
		_, _ = io.Copy(w, io.LimitReader(body, size))
	}
	return nil
}

func (s *Service) failed(ctx context.Context, err error) *problem.Problem {
	p, internal := problem.From(err)
	if internal != nil {
		s.o.Log.WarnContext(ctx, "export not served", "request_id", problem.RequestID(ctx), "error", internal)
	}
	return p
}
