package testx

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Buffer takes a log, or what a program says, while the test reads it. The zero value is ready.
type Buffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Await returns when b has what and fails t if that takes longer than twenty seconds: programs start, and call cameras again.
func (b *Buffer) Await(t testing.TB, what string) {
	t.Helper()
	if !poll(2*patience, func() bool { return strings.Contains(b.String(), what) }) {
		t.Fatalf("waited in vain for %q in: %s", what, b)
	}
}

// Cat makes a message of bytes, each an int, and of pieces, each a string or a []byte.
func Cat(parts ...any) (b []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

// Certificate is one for 127.0.0.1 and localhost that nobody vouches for.
func Certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Chunks writes an RTMP chunk stream (RTMP 1.0 5.3). It shares nothing with the code under test, and can do what a well-behaved encoder does not.
type Chunks struct {
	Size     int  // chunk size; 128 to begin with
	NoRepeat bool // leave the extended timestamp out of type-3 chunks
}

// Encode is a message in chunks of Size. format is that of its first chunk, field that one's timestamp field, id its chunk stream, 2 to 63.
func (c *Chunks) Encode(format, id byte, field uint32, typ byte, stream uint32, payload []byte) []byte {
	b := []byte{format<<6 | id}
	short, ext := field, []byte(nil)
	if field >= 0xFFFFFF {
		short, ext = 0xFFFFFF, binary.BigEndian.AppendUint32(nil, field)
	}
	if format < 3 {
		b = append(b, byte(short>>16), byte(short>>8), byte(short))
	}
	if format < 2 {
		n := len(payload)
		b = append(b, byte(n>>16), byte(n>>8), byte(n), typ)
	}
	if format == 0 {
		b = binary.LittleEndian.AppendUint32(b, stream)
	}
	b = append(b, ext...)
	for len(payload) > c.Size {
		b = append(b, payload[:c.Size]...)
		payload = payload[c.Size:]
		b = append(b, 3<<6|id)
		if !c.NoRepeat {
			b = append(b, ext...)
		}
	}
	return append(b, payload...)
}
