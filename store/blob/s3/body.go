package s3

import (
	"context"
	"crypto/md5" //nolint:gosec // Content-MD5 is what old servers check; it proves nothing to anybody else
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"sync"
	"syscall"
)

// source is the body of a Put, cut into parts.
type source struct {
	r    io.Reader
	at   io.ReaderAt // not nil: r can be read from any place and more than once, and nothing is buffered
	base int64       // where the body begins in at
	size int64
	read int64 // how much of r has been handed out
}

// newSource measures a body that can be measured.
func newSource(ctx context.Context, r io.Reader, size int64) (*source, error) {
	s := &source{r: contextReader{ctx, r}, size: size}
	seeker, ok := r.(interface {
		io.ReaderAt
		io.Seeker
	})
	if !ok {
		return s, nil
	}
	base, err := seeker.Seek(0, io.SeekCurrent)
	if err == nil {
		err = s.measure(seeker, base)
	}
	if errors.Is(err, syscall.ESPIPE) { // a pipe, for example, is read as any stream
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// measure makes sure that what can be read from any place has the size that was announced.
func (s *source) measure(seeker interface {
	io.ReaderAt
	io.Seeker
}, base int64) error {
	end, err := seeker.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = seeker.Seek(base, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("blob/s3: put: %w", err)
	}
	if end-base != s.size {
		return wrongSize(end-base, s.size)
	}
	s.at, s.base = seeker, base
	return nil
}

func wrongSize(got, want int64) error {
	if got > want {
		return fmt.Errorf("blob/s3: put: body longer than the %d bytes announced", want)
	}
	return fmt.Errorf("blob/s3: put: body of %d bytes, %d announced: %w", got, want, io.ErrUnexpectedEOF)
}

// next is the next n bytes, in buf where they must be held; after the last it makes sure that there are no more.
func (s *source) next(n int64, buf func(int64) []byte) (io.ReaderAt, error) {
	defer func() { s.read += n }()
	if s.at != nil {
		return io.NewSectionReader(s.at, s.base+s.read, n), nil
	}
	held := buf(n)
	got, err := io.ReadFull(s.r, held)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, wrongSize(s.read+int64(got), s.size)
	}
	if err != nil {
		return nil, fmt.Errorf("blob/s3: put: %w", err)
	}
	if s.read+n == s.size {
		var more [1]byte
		switch _, err := io.ReadFull(s.r, more[:]); {
		case err == nil:
			return nil, wrongSize(s.size+1, s.size)
		case !errors.Is(err, io.EOF):
			return nil, fmt.Errorf("blob/s3: put: %w", err)
		}
	}
	return bytesAt(held), nil
}

// bytesAt is bytes.Reader's ReadAt alone.
type bytesAt []byte

func (b bytesAt) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// contextReader stops between two reads once the context is done.
type contextReader struct {
	ctx context.Context //nolint:containedctx // lives as long as the call that it bounds
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// body is what one attempt sends. The transport may go on reading after the attempt has failed, so the end of the attempt
// seals it: from then on nothing of the caller's is touched.
type body struct {
	mu     sync.Mutex // guards the following
	r      *io.SectionReader
	sealed bool
	err    error // what reading failed with, which is the caller's and no fault of the network
}

var errSealed = errors.New("the attempt is over")

func newBody(at io.ReaderAt, size int64) *body { return &body{r: io.NewSectionReader(at, 0, size)} }

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sealed {
		return 0, errSealed
	}
	n, err := b.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// seal ends the attempt, and returns what it came to: the failure of the body, if that failed, or err.
func (b *body) seal(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sealed = true
	if b.err != nil {
		return &bodyError{b.err}
	}
	return err
}

// bodyError is a failure of what is being sent, which no other attempt mends.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "blob/s3: put: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// What the server proves of a body that it was sent.
const (
	sumsUnknown int32 = iota // nothing was sent yet: CRC32C is tried
	sumsCRC32C
	sumsMD5
)

// sums are a body's checksums, in the form of their headers; those that are not wanted are empty.
type sums struct{ crc32c, md5, sha256 string }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum reads the body once for the checksums that kind and connection ask for.
func (s *Store) sum(at io.ReaderAt, size int64, kind int32) (sums, error) {
	var to []io.Writer
	add := func(h hash.Hash, wanted bool) hash.Hash {
		if wanted {
			to = append(to, h)
		}
		return h
	}
	crc := add(crc32.New(castagnoli), kind != sumsMD5)
	old := add(md5.New(), kind == sumsMD5) //nolint:gosec // see the import
	signed := add(sha256.New(), s.signsBodies())
	if _, err := io.Copy(io.MultiWriter(to...), io.NewSectionReader(at, 0, size)); err != nil {
		return sums{}, fmt.Errorf("blob/s3: put: %w", err)
	}
	var out sums
	if kind == sumsMD5 {
		out.md5 = base64.StdEncoding.EncodeToString(old.Sum(nil))
	} else {
		out.crc32c = base64.StdEncoding.EncodeToString(crc.Sum(nil))
	}
	if s.signsBodies() {
		out.sha256 = hex.EncodeToString(signed.Sum(nil))
	}
	return out, nil
}

// signsBodies: TLS keeps others from changing a body; over plain HTTP the signature must.
func (s *Store) signsBodies() bool { return !s.secure && !s.options.unsigned }
