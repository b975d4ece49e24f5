package edge

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// object is one answer of the origin. Nobody writes to it once it is made.
type object struct {
	status int
	header http.Header // what every viewer is told besides Age, Content-Length and Content-Encoding
	body   []byte
	zipped []byte // the same compressed; nil: it was not sent so
	// born is when the origin made it, as far as Age tells.
	born time.Time
	// lifetime is how long it may be kept from then on; 0: it is for those who wait for it now.
	lifetime  time.Duration
	immutable bool
	// private says that it is for one viewer alone, or too long: everybody asks for himself.
	private bool
}

// overhead is what an object costs besides its body, about.
const overhead = 2 << 10

func (o *object) cost() int64 { return int64(len(o.body)+len(o.zipped)) + overhead }

func (o *object) fresh(now time.Time) bool { return now.Before(o.born.Add(o.lifetime)) }

// age is what the header of that name says.
func (o *object) age(now time.Time) string {
	return strconv.FormatInt(max(int64(now.Sub(o.born)/time.Second), 0), 10)
}

// forever is the lifetime from which on something immutable is put on disk.
const forever = time.Hour

// notPassedOn are headers that mean one connection (RFC 9110, 7.6.1), one answer, or the origin's own address.
var notPassedOn = [...]string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Age", "Content-Length", "Content-Encoding", "Accept-Ranges", "X-Cache", "Via", "Alt-Svc", "Strict-Transport-Security",
}

// newObject reads the head of an answer.
func newObject(r *http.Response, now time.Time) *object {
	o := &object{status: r.StatusCode, header: r.Header.Clone(), born: now}
	for _, line := range r.Header["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			o.header.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range notPassedOn {
		delete(o.header, name)
	}
	if age, err := strconv.ParseInt(r.Header.Get("Age"), 10, 32); err == nil && age > 0 {
		o.born = now.Add(-time.Duration(age) * time.Second)
	}
	o.keep(r.Header["Cache-Control"])
	o.private = o.private || r.Header["Set-Cookie"] != nil || varies(r.Header["Vary"])
	return o
}

// keep reads Cache-Control (RFC 9111, 5.2.2). s-maxage is for caches such as this one and wins.
func (o *object) keep(lines []string) {
	var forbidden, sharedSaid bool
	for _, line := range lines {
		for one := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(one), "=")
			switch name = strings.ToLower(name); name {
			case "no-store", "no-cache":
				forbidden = true
			case "private":
				o.private = true
			case "immutable":
				o.immutable = true
			case "max-age", "s-maxage":
				n, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 32)
				if err != nil {
					forbidden = true
					continue
				}
				if name == "s-maxage" || !sharedSaid {
					o.lifetime = time.Duration(max(n, 0)) * time.Second
				}
				sharedSaid = sharedSaid || name == "s-maxage"
			}
		}
	}
	if forbidden || o.private {
		o.lifetime = 0
		// An answer that may not be kept is still one for all who waited for it together, where it is a refusal: else each of them
		// would be sent on to an origin that has just said that it has too much to do.
		o.private = o.private || o.status < http.StatusBadRequest
	}
}

// varies tells whether an answer depends on more of a request than the encodings it takes.
func varies(lines []string) bool {
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" && !strings.EqualFold(name, "Accept-Encoding") {
				return true
			}
		}
	}
	return false
}

// maxPlaylist bounds what a compressed answer may become.
const maxPlaylist = 16 << 20

var errEncoding = errors.New("the answer is encoded as nobody asked for")

// fill sets the body as it came with a Content-Encoding.
func (o *object) fill(body []byte, encoding string) error {
	switch strings.ToLower(encoding) {
	case "", "identity":
		o.body = body
		return nil
	case "gzip":
	default:
		return errEncoding
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return err
	}
	plain, err := io.ReadAll(io.LimitReader(z, maxPlaylist+1))
	if err != nil {
		return err
	}
	if len(plain) > maxPlaylist {
		return errTooLong
	}
	o.body, o.zipped = plain, body
	return nil
}
