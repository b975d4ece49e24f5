package origin

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"mediad/packager/playlist"
	"mediad/store/blob"
)

// chunk is how much is handed to the connection under one write deadline: most media whole. A stalled viewer is cut
// after that deadline, a slow one must take a chunk in that time.
const chunk = 1 << 20

// served tells the observer how the request ended.
func (a *answer) served(status int, n int64) {
	if a.gone {
		status = StatusLeft
	}
	a.h.observer.Served(Served{Kind: a.route.kind, Stream: a.route.stream, Status: status, Bytes: n, Held: a.held, CMCD: a.cmcd()})
}

// within gives the viewer time to take the next chunk.
func (a *answer) within(rc *http.ResponseController) {
	if t := a.h.limits.WriteTimeout; t > 0 {
		// Writers that know no deadline are those of tests: they do not stall either.
		_ = rc.SetWriteDeadline(time.Now().Add(t))
	}
}

// begin sends the head of an answer and returns what sets the deadlines of its body.
func (a *answer) begin(status int) *http.ResponseController {
	a.h.openToAll(a.w.Header())
	rc := http.NewResponseController(a.w)
	a.within(rc)
	a.w.WriteHeader(status)
	return rc
}

// unchanged answers a request for what the client has already, and tells whether it was one.
func (a *answer) unchanged(etag string) bool {
	asked, ok := a.r.Header["If-None-Match"]
	if !ok || !matches(asked, etag) {
		return false
	}
	a.h.openToAll(a.w.Header())
	a.w.WriteHeader(http.StatusNotModified)
	a.served(http.StatusNotModified, 0)
	return true
}

// playlistBytes sends a rendered playlist.
func (a *answer) playlistBytes(body []byte, etag string, gzip bool, cache []string) {
	header, f := a.w.Header(), &a.h.fixed
	header["Cache-Control"] = a.cached(cache)
	header["Etag"] = []string{etag}
	header["Vary"] = f.varyEncoding
	if a.unchanged(etag) {
		return
	}
	header["Content-Type"] = f.playlist
	if gzip {
		header["Content-Encoding"] = f.gzip
	}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	a.bytes(http.StatusOK, body)
}

// bytes sends the head and a body from memory.
func (a *answer) bytes(status int, body []byte) {
	rc := a.begin(status)
	if a.r.Method == http.MethodHead {
		a.served(status, 0)
		return
	}
	var sent int64
	for len(body) > 0 {
		n, err := a.w.Write(body[:min(len(body), chunk)])
		sent += int64(n)
		if err != nil { // the viewer is gone
			break
		}
		if body = body[n:]; len(body) > 0 {
			a.within(rc)
		}
	}
	a.served(status, sent)
}

// send answers immutable media, whole or the range that was asked for. Its name is its entity tag.
func (a *answer) send(m playlist.Media, contentType []string) {
	cache := a.h.fixed.immutable
	if a.token != "" {
		cache = a.h.fixed.seconds(tokenAge)
	}
	a.sendAs(m, contentType, `"`+a.route.file+`"`, cache)
}

func (a *answer) sendAs(m playlist.Media, contentType []string, etag string, cache []string) {
	size := m.Size
	if m.Bytes != nil {
		size = int64(len(m.Bytes))
	}
	status, from, length, ok := a.ranged(etag, size, cache)
	if !ok {
		return
	}
	var file io.ReadCloser
	if m.Bytes == nil && a.r.Method != http.MethodHead {
		var err error
		if file, err = a.open(m, from, length); err != nil {
			a.unreadable(m.Key, err)
			return
		}
		// Reading it is over; an error of closing a file that was read tells nobody anything.
		defer func() { _ = file.Close() }()
	}
	a.w.Header()["Content-Type"] = contentType
	if file == nil {
		var body []byte
		if m.Bytes != nil {
			body = m.Bytes[from : from+length]
		}
		a.bytes(status, body)
		return
	}
	a.copy(status, file, length, m)
}

// ranged sets the headers of what has a size, and tells which part of it is to be sent. Not ok: the request is answered.
func (a *answer) ranged(etag string, size int64, cache []string) (status int, from, length int64, ok bool) {
	header, f := a.w.Header(), &a.h.fixed
	header["Etag"] = []string{etag}
	header["Accept-Ranges"] = f.acceptRanges
	header["Cache-Control"] = a.cached(cache)
	if a.unchanged(etag) {
		return 0, 0, 0, false
	}
	status, length = http.StatusOK, size
	if asked, given := a.r.Header["Range"]; given && len(asked) == 1 && ifRange(a.r.Header, etag) {
		var kind rangeKind
		switch from, length, kind = parseRange(asked[0], size); kind {
		case rangeNone:
			from, length = 0, size
		case rangeOne:
			status = http.StatusPartialContent
			header["Content-Range"] = []string{contentRange(from, length, size)}
		case rangeOutside:
			header["Content-Range"] = []string{"bytes */" + strconv.FormatInt(size, 10)}
			a.problem(rangeUnsatisfiable, f.noStore)
			return 0, 0, 0, false
		}
	}
	header["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	return status, from, length, true
}

// open opens length bytes from offset from of the media: where it is on the local disk, else in the bucket.
func (a *answer) open(m playlist.Media, from, length int64) (io.ReadCloser, error) {
	if m.Key != "" {
		r, err := a.openLocal(m, from, length)
		if m.Remote == "" || !errors.Is(err, blob.ErrNotExist) {
			return r, err
		}
	}
	if m.Remote == "" || a.h.remote == nil {
		return nil, blob.ErrNotExist
	}
	return a.h.remote.Open(a.r.Context(), m.Remote, from, length)
}

// openLocal opens it as a file if the store has files.
func (a *answer) openLocal(m playlist.Media, from, length int64) (io.ReadCloser, error) {
	if a.h.files != nil {
		f, err := a.h.files.OpenFile(m.Key)
		if err != nil {
			return nil, err
		}
		if at := m.Offset + from; at > 0 {
			if _, err := f.Seek(at, io.SeekStart); err != nil {
				return nil, errors.Join(err, f.Close())
			}
		}
		return f, nil
	}
	if a.h.blobs == nil {
		return nil, blob.ErrNotExist
	}
	return a.h.blobs.Open(a.r.Context(), m.Key, m.Offset+from, length)
}

// copy sends the head and length bytes of src. io.CopyN hands a file to the connection, and that to the kernel.
func (a *answer) copy(status int, src io.Reader, length int64, m playlist.Media) {
	rc := a.begin(status)
	var sent int64
	for sent < length {
		n, err := io.CopyN(a.w, src, min(length-sent, chunk))
		sent += n
		if errors.Is(err, io.EOF) {
			// The object is shorter than it was when it was listed. net/http closes a connection that
			// got less than its Content-Length, so the viewer knows.
			a.h.log.Error("media is cut short", "object", m.Key, "offset", m.Offset, "size", m.Size, "sent", sent)
		}
		if err != nil { // or the viewer is gone
			break
		}
		if sent < length {
			if a.ended() { // it got less than its Content-Length, so the viewer knows
				break
			}
			a.within(rc)
		}
	}
	a.served(status, sent)
}

// unreadable answers for media that is listed and cannot be had.
func (a *answer) unreadable(key string, err error) {
	header := a.w.Header()
	for _, name := range [...]string{"Etag", "Accept-Ranges", "Content-Range", "Content-Disposition"} {
		delete(header, name)
	}
	if a.r.Context().Err() != nil {
		a.problem(heldTooLong, a.h.fixed.noStore)
		return
	}
	a.h.log.Error("media cannot be read", slog.String("object", key), slog.Any("error", err))
	if errors.Is(err, blob.ErrNotExist) {
		a.problem(notFound, a.h.fixed.forSecond)
		return
	}
	a.problem(storageUnavailable, a.h.fixed.noStore)
}
