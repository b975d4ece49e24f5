// Package bench measures the server against what stands beside it. Its tests carry the build tag bench and are what
// `make bench` runs; the code here is the load they make.
package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Counts is what a crowd of viewers saw.
type Counts struct {
	Requests, Bytes, Parts, Errors atomic.Int64
	// Stalls counts the times a viewer was further behind the newest part than a player's buffer would bear.
	Stalls atomic.Int64
	// LastError is one of the errors, for the report.
	LastError atomic.Pointer[string]
	// Saw, if set, is told of every answer. It is called from all viewers at once.
	Saw func(Answer)
}

// Answer is what one request got.
type Answer struct {
	Path          string
	Status        int
	Header        http.Header
	Body          []byte // valid until Saw returns
	Asked, Landed time.Time
}

func (c *Counts) fail(err error) {
	c.Errors.Add(1)
	s := err.Error()
	c.LastError.Store(&s)
}

// stallAfter is how late the next part may be before a player close to the edge runs dry: hls.js keeps about a second.
const stallAfter = time.Second

// conn is one HTTP/1.1 connection that costs as little as can be, since it shares the cores with what it measures.
type conn struct {
	host   string
	cookie string // some servers keep a session for each viewer
	c      net.Conn
	r      *bufio.Reader
	buf    []byte
}

func (k *conn) close() {
	if k.c != nil {
		_ = k.c.Close()
		k.c = nil
	}
}

// get returns the body, valid until the next call, where keep is set; else it only counts it.
func (k *conn) get(ctx context.Context, path string, keep bool, c *Counts) ([]byte, error) {
	if k.c == nil {
		d := net.Dialer{Timeout: 10 * time.Second}
		nc, err := d.DialContext(ctx, "tcp", k.host)
		if err != nil {
			return nil, err
		}
		k.c, k.r = nc, bufio.NewReaderSize(nc, 32<<10)
	}
	if err := k.c.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		return nil, err
	}
	k.buf = append(k.buf[:0], "GET "...)
	k.buf = append(k.buf, path...)
	k.buf = append(k.buf, " HTTP/1.1\r\nHost: "...)
	k.buf = append(k.buf, k.host...)
	k.buf = append(k.buf, "\r\nUser-Agent: mediad-bench\r\n"...)
	if k.cookie != "" {
		k.buf = append(k.buf, "Cookie: "...)
		k.buf = append(k.buf, k.cookie...)
		k.buf = append(k.buf, "\r\n"...)
	}
	k.buf = append(k.buf, "\r\n"...)
	asked := time.Now()
	if _, err := k.c.Write(k.buf); err != nil {
		k.close()
		return nil, err
	}
	r, err := http.ReadResponse(k.r, nil)
	if err != nil {
		k.close()
		return nil, err
	}
	c.Requests.Add(1)
	var body []byte
	if keep || c.Saw != nil {
		body, err = io.ReadAll(io.LimitReader(r.Body, 4<<20))
		c.Bytes.Add(int64(len(body)))
	} else {
		var n int64
		n, err = io.Copy(io.Discard, r.Body)
		c.Bytes.Add(n)
	}
	_ = r.Body.Close()
	if err != nil || r.Close {
		k.close()
	}
	if err != nil {
		return nil, err
	}
	if c.Saw != nil {
		c.Saw(Answer{path, r.StatusCode, r.Header, body, asked, time.Now()})
	}
	for _, cookie := range r.Cookies() {
		k.cookie = cookie.Name + "=" + cookie.Value
	}
	if to := r.Header.Get("Location"); r.StatusCode == http.StatusFound && to != path {
		return k.get(ctx, to, keep, c)
	}
	if r.StatusCode/100 != 2 {
		return nil, fmt.Errorf("GET %s: %s", path, r.Status)
	}
	return body, nil
}

// Renditions returns the paths of the media playlists that one viewer needs, its audio and the first variant, and the
// cookie to ask for them with.
func Renditions(ctx context.Context, host, multivariant string) (paths []string, cookie string, err error) {
	k := &conn{host: host}
	defer k.close()
	var c Counts
	body, err := k.get(ctx, multivariant, true, &c)
	if err != nil {
		return nil, "", err
	}
	variant := false
	for line := range strings.SplitSeq(string(body), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#EXT-X-MEDIA:") && strings.Contains(line, "TYPE=AUDIO"):
			if uri := quoted(line, `URI="`); uri != "" {
				paths = append(paths, resolve(multivariant, uri))
			}
		case strings.HasPrefix(line, "#EXT-X-STREAM-INF:"):
			variant = true
		case variant && line != "" && line[0] != '#':
			return append(paths, resolve(multivariant, line)), k.cookie, nil
		}
	}
	return nil, "", fmt.Errorf("no variant in %s", multivariant)
}

func resolve(base, ref string) string {
	b, err := url.Parse(base)
	if err != nil {
		return ref
	}
	u, err := b.Parse(ref)
	if err != nil {
		return ref
	}
	return u.RequestURI()
}

func quoted(line, key string) string {
	_, rest, ok := strings.Cut(line, key)
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// edge is where a playlist ends.
type edge struct {
	msn, part int      // of the next part to ask for
	parts     []string // all part URIs, oldest first
}

var (
	tagSequence = []byte("#EXT-X-MEDIA-SEQUENCE:")
	tagINF      = []byte("#EXTINF:")
	tagPart     = []byte("#EXT-X-PART:")
)

func readEdge(body []byte) edge {
	var e edge
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		switch {
		case bytes.HasPrefix(line, tagSequence):
			e.msn, _ = strconv.Atoi(string(bytes.TrimSpace(line[len(tagSequence):])))
		case bytes.HasPrefix(line, tagINF):
			e.msn++
			e.part = 0
		case bytes.HasPrefix(line, tagPart):
			e.part++
			e.parts = append(e.parts, quoted(string(line), `URI="`))
		}
	}
	return e
}

// Watch pulls one media playlist and its parts as a player at the live edge does, until ctx ends.
func Watch(ctx context.Context, host, playlist, cookie string, c *Counts) {
	reload, media := &conn{host: host, cookie: cookie}, &conn{host: host, cookie: cookie}
	defer reload.close()
	defer media.close()
	body, err := reload.get(ctx, playlist, true, c)
	if err != nil {
		c.fail(err)
		return
	}
	e := readEdge(body)
	last := ""
	if len(e.parts) > 0 {
		last = e.parts[len(e.parts)-1]
	}
	sep := "?"
	if strings.Contains(playlist, "?") {
		sep = "&"
	}
	fed := time.Now()
	for ctx.Err() == nil {
		body, err := reload.get(ctx, fmt.Sprintf("%s%s_HLS_msn=%d&_HLS_part=%d", playlist, sep, e.msn, e.part), true, c)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.fail(err)
			return
		}
		e = readEdge(body)
		from := len(e.parts)
		for from > 0 && e.parts[from-1] != last {
			from--
		}
		for _, uri := range e.parts[from:] {
			if _, err := media.get(ctx, resolve(playlist, uri), false, c); err != nil {
				if ctx.Err() == nil {
					c.fail(err)
				}
				return
			}
			c.Parts.Add(1)
			last = uri
		}
		if time.Since(fed) > stallAfter {
			c.Stalls.Add(1)
		}
		fed = time.Now()
	}
}
