package edge

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"time"
)

// What stands behind the body in a file, so that the body is where the kernel can send it from. docs/formats/edge.md draws it.
const (
	magic    = "mediadE1"
	footLen  = len(magic) + 4 + 4
	maxAbout = 64 << 10 // of an object's header
)

// about is an object's head in a file.
type about struct {
	Key      string      `json:"key"`
	Born     time.Time   `json:"born"`
	Lifetime int64       `json:"lifetime"` // seconds
	Header   http.Header `json:"header"`
}

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errFile    = errors.New("no whole object")
	errKey     = errors.New("the object of another key")
)

func encodeTail(key string, o *object) ([]byte, error) {
	tail, err := json.Marshal(about{key, o.born, int64(o.lifetime / time.Second), o.header})
	if err != nil {
		return nil, err
	}
	n := len(tail)
	sum := crc32.Update(crc32.Checksum(o.body, castagnoli), castagnoli, tail)
	tail = binary.BigEndian.AppendUint32(tail, sum)
	tail = binary.BigEndian.AppendUint32(tail, uint32(n))
	return append(tail, magic...), nil
}

// decodeTail reads an object's head and how long its body is. With check it reads the body, too, and compares the sum.
func decodeTail(f *os.File, key string, check bool) (head *object, size int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	var foot [footLen]byte
	if _, err := f.ReadAt(foot[:], info.Size()-int64(footLen)); err != nil {
		return nil, 0, errors.Join(errFile, err)
	}
	n := int64(binary.BigEndian.Uint32(foot[4:]))
	size = info.Size() - int64(footLen) - n
	if string(foot[8:]) != magic || n > maxAbout || size < 0 {
		return nil, 0, errFile
	}
	text := make([]byte, n)
	if _, err := f.ReadAt(text, size); err != nil {
		return nil, 0, errors.Join(errFile, err)
	}
	if check {
		sum := crc32.New(castagnoli)
		if _, err := io.Copy(sum, io.NewSectionReader(f, 0, size+n)); err != nil {
			return nil, 0, errors.Join(errFile, err)
		}
		if sum.Sum32() != binary.BigEndian.Uint32(foot[:]) {
			return nil, 0, errFile
		}
	}
	var a about
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, 0, errors.Join(errFile, err)
	}
	if a.Key != key {
		return nil, 0, errKey
	}
	return &object{status: http.StatusOK, header: a.Header, born: a.Born, lifetime: time.Duration(a.Lifetime) * time.Second, immutable: true}, size, nil
}
