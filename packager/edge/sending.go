package edge

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"time"
)

// sending is the answer to one viewer: it counts, and gives what is sent time.
type sending struct {
	http.ResponseWriter
	limit  time.Duration // for each MiB
	status int
	sent   int64
}

// Unwrap is for http.ResponseController.
func (s *sending) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// within gives the viewer time to take the next so many bytes.
func (s *sending) within(n int64) {
	// Writers that know no deadline are those of tests: they do not stall either.
	_ = http.NewResponseController(s.ResponseWriter).SetWriteDeadline(time.Now().Add(s.limit * time.Duration(1+n>>20)))
}

// WriteHeader notes the status.
func (s *sending) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (s *sending) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	n, err := s.ResponseWriter.Write(b)
	s.sent += int64(n)
	return n, err
}

// ReadFrom hands a file to the connection, and that to the kernel.
func (s *sending) ReadFrom(src io.Reader) (int64, error) {
	to, ok := s.ResponseWriter.(io.ReaderFrom)
	if limited, is := src.(*io.LimitedReader); ok && is {
		if body, is := limited.R.(*diskBody); is {
			n, err := to.ReadFrom(&io.LimitedReader{R: body.File, N: limited.N})
			s.sent += n
			return n, err
		}
	}
	return io.Copy(struct{ io.Writer }{s}, src)
}

// sized is what http.ServeContent takes.
type sized = io.ReadSeeker

// diskBody is a file without what stands behind the body.
type diskBody struct {
	*os.File
	size int64
}

// Seek knows where the body ends. Reading is limited by who serves it.
func (b *diskBody) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekEnd {
		offset, whence = offset+b.size, io.SeekStart
	}
	return b.File.Seek(offset, whence)
}

func memoryBody(b []byte) sized { return bytes.NewReader(b) }
