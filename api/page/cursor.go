// Package page makes the cursors of lists: opaque, and good only for the list that gave them out.
package page

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ErrCursor is returned, wrapped, for a cursor that was altered or belongs to another list.
var ErrCursor = errors.New("page: invalid cursor")

const (
	macBytes = 16
	// maxCursor is far above what Seal makes.
	maxCursor = 1024
)

// Codec seals cursors. All nodes of a site need the same key.
type Codec struct{ key []byte }

// NewCodec makes a codec; the key should be at least 32 random bytes.
func NewCodec(key []byte) Codec { return Codec{key: key} }

// Seal makes a cursor of a position. list names route, filters and sort.
func (c Codec) Seal(list string, position any) (string, error) {
	payload, err := json.Marshal(position)
	if err != nil {
		return "", fmt.Errorf("page: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(append(c.mac(list, payload), payload...)), nil
}

// Open reads the position back.
func (c Codec) Open(list, cursor string, position any) error {
	if len(cursor) > maxCursor {
		return fmt.Errorf("%w: %d bytes", ErrCursor, len(cursor))
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || strings.ContainsAny(cursor, "\r\n") || // line ends are skipped even by a strict decoder
		len(raw) < macBytes {
		return fmt.Errorf("%w: not one of ours", ErrCursor)
	}
	payload := raw[macBytes:]
	if !hmac.Equal(raw[:macBytes], c.mac(list, payload)) {
		return fmt.Errorf("%w: altered, or of another list", ErrCursor)
	}
	if err := json.Unmarshal(payload, position); err != nil {
		return fmt.Errorf("%w: %w", ErrCursor, err)
	}
	return nil
}

func (c Codec) mac(list string, payload []byte) []byte {
	h := hmac.New(sha256.New, c.key)
	// The length keeps the end of the name from being taken for the begin of the position.
	fmt.Fprintf(h, "mediad cursor v1\n%d\n%s", len(list), list)
	h.Write(payload)
	return h.Sum(nil)[:macBytes]
}
