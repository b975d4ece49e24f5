package blob

import (
	"errors"
	"fmt"
	"strings"
)

// MaxKey is the longest key in bytes: what S3 allows (1024) halved, so that a prefix can still be put in front.
const MaxKey = 512

// maxSegment is the longest part between two slashes: the longest file name of common file systems.
const maxSegment = 255

// ErrKey is returned, wrapped, for a key that breaks the rules of the package comment.
var ErrKey = errors.New("blob: invalid key")

// ValidateKey says whether key may name an object. Whatever passes stays inside the store's folder when it is joined to
// it: no empty segment, no "." or "..", no leading slash, no byte that a file system or URL reads in its own way.
//
// One rule it cannot see: an object's key must not be the folder of another ("a" beside "a/b"), since a disk has no
// such pair. Stores that are folders refuse the second.
func ValidateKey(key string) error {
	if len(key) == 0 || len(key) > MaxKey {
		return fmt.Errorf("%w: %d bytes, want 1 to %d", ErrKey, len(key), MaxKey)
	}
	for segment := range strings.SplitSeq(key, "/") {
		switch {
		case segment == "":
			return fmt.Errorf("%w: empty segment in %q", ErrKey, key)
		case segment == "." || segment == "..":
			return fmt.Errorf("%w: segment %q", ErrKey, segment)
		case len(segment) > maxSegment:
			return fmt.Errorf("%w: segment of %d bytes, want at most %d", ErrKey, len(segment), maxSegment)
		}
		for i := range len(segment) {
			if !keyByte(segment[i]) {
				return fmt.Errorf("%w: byte %#02x in %q", ErrKey, segment[i], key)
			}
		}
	}
	return nil
}

func keyByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}

// ValidateRange checks the arguments of Open: an offset from the start and a length, -1 meaning to the end.
func ValidateRange(offset, length int64) error {
	if offset < 0 || length < -1 {
		return fmt.Errorf("blob: invalid range: offset %d, length %d", offset, length)
	}
	return nil
}

// Cut turns a range into what of it lies inside an object of the given size.
func Cut(size, offset, length int64) (int64, int64) {
	if offset > size {
		offset = size
	}
	if rest := size - offset; length < 0 || length > rest {
		length = rest
	}
	return offset, length
}
