package origin

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"mediad/packager/playlist"
)

// downloadFile is a video as one file.
const downloadFile = "download.mp4"

// VideoFile is a video as one MP4 file that is made while it is sent.
type VideoFile struct {
	// Title is the video's; the file gets its name from it.
	Title string
	Size  int64
	ETag  string // with its quotes
	// Copy writes length bytes from an offset on, and opens media from its start for that. Errors of dst come back as they are.
	Copy func(dst io.Writer, from, length int64, open func(playlist.Media) (io.ReadCloser, error)) error
}

// NoDownloadError says why a video cannot be one file.
type NoDownloadError struct {
	Reason string // a sentence for the one who asked
}

func (e *NoDownloadError) Error() string { return e.Reason }

// download answers a video as one file, whole or the range that was asked for.
func (a *answer) download(v Video) {
	f := &a.h.fixed
	d, err := v.Download(a.r.Context())
	var never *NoDownloadError
	switch {
	case errors.As(err, &never):
		a.problemBecause(notOneFile, never.Reason, f.seconds(vodAge))
		return
	case err != nil:
		a.noVideo(err)
		return
	}
	status, from, length, ok := a.ranged(d.ETag, d.Size, f.seconds(vodAge))
	if !ok {
		return
	}
	header := a.w.Header()
	header["Content-Type"] = f.video
	header["Content-Disposition"] = []string{disposition(d.Title)}
	if a.r.Method == http.MethodHead || length == 0 {
		a.bytes(status, nil)
		return
	}
	w := &body{a: a, status: status}
	key := ""
	err = d.Copy(w, from, length, func(m playlist.Media) (io.ReadCloser, error) {
		key = m.Key
		return a.open(m, 0, m.Size)
	})
	switch {
	case err != nil && w.rc == nil:
		a.unreadable(key, err)
		return
	case err != nil && w.err == nil && a.r.Context().Err() == nil:
		// net/http closes a connection that got less than its Content-Length, so the viewer knows.
		a.h.log.Error("download is cut short", "video", a.route.stream, "object", key, "sent", w.sent, "of", length, "error", err)
	}
	a.served(status, w.sent)
}

// body is an answer of unknown beginnings: its head is sent with the first bytes. The viewer has Limits.WriteTimeout to take each
// chunk.
type body struct {
	a      *answer
	status int
	rc     *http.ResponseController // nil: nothing is sent yet
	sent   int64
	room   int64 // what may be sent under the deadline that is set
	err    error // of the connection
}

// errBarred ends an answer that may no longer be given out.
var errBarred = errors.New("origin: it may no longer be given out")

// next makes room for more and tells how much there is.
func (b *body) next() (int64, error) {
	switch {
	case b.rc == nil:
		b.rc, b.room = b.a.begin(b.status), chunk
	case b.room == 0:
		if b.a.ended() {
			b.err = errBarred
			return 0, b.err
		}
		b.a.within(b.rc)
		b.room = chunk
	}
	return b.room, nil
}

func (b *body) note(n int64, err error) {
	b.sent += n
	b.room -= n
	if err != nil {
		b.err = err
	}
}

func (b *body) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		room, err := b.next()
		if err != nil {
			return done, err
		}
		n, err := b.a.w.Write(p[done:min(int64(len(p)), int64(done)+room)])
		b.note(int64(n), err)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// ReadFrom hands what io.CopyN limits to the connection, and files with that to the kernel.
func (b *body) ReadFrom(r io.Reader) (int64, error) {
	source, ok := r.(*io.LimitedReader)
	if !ok {
		return io.Copy(struct{ io.Writer }{b}, r)
	}
	var done int64
	for source.N > 0 {
		room, err := b.next()
		if err != nil {
			return done, err
		}
		n, err := io.CopyN(b.a.w, source.R, min(source.N, room))
		source.N -= n
		done += n
		if errors.Is(err, io.EOF) { // of the source, which io.CopyN above sees as well
			b.note(n, nil)
			return done, nil
		}
		b.note(n, err)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// maxTitle is how many characters of a title are in the name of a file.
const maxTitle = 100

// disposition is the Content-Disposition of a file that is named by a title (RFC 6266): in ASCII for the old, and as it is.
func disposition(title string) string {
	name := fileName(title) + ".mp4"
	var ascii, extended strings.Builder
	for _, r := range name {
		if r < utf8.RuneSelf && r != '%' { // some read %-sequences in the plain form, too
			ascii.WriteRune(r)
		} else {
			ascii.WriteByte('_')
		}
	}
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$&+-.^_`|~", c) >= 0 {
			extended.WriteByte(c)
			continue
		}
		const hex = "0123456789ABCDEF"
		extended.WriteByte('%')
		extended.WriteByte(hex[c>>4])
		extended.WriteByte(hex[c&15])
	}
	return `attachment; filename="` + ascii.String() + `"; filename*=UTF-8''` + extended.String()
}

// fileName makes a title a name that every file system takes, and that hides nothing.
func fileName(title string) string {
	var b strings.Builder
	n := 0
	for _, r := range title {
		if n == maxTitle {
			break
		}
		switch {
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Cf, r): // the last turns the direction of text, too
			continue
		case unicode.IsSpace(r):
			r = ' '
		case strings.ContainsRune(`<>:"/\|?*`, r):
			r = '_'
		}
		b.WriteRune(r)
		n++
	}
	name := strings.Trim(b.String(), " .")
	if name == "" {
		return "video"
	}
	return name
}
