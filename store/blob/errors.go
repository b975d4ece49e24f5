package blob

import (
	"context"
	"errors"
)

// What stores return, wrapped or not, for callers to tell apart with errors.Is. ErrKey is beside ValidateKey.
var (
	// ErrNotExist: the key holds no object.
	ErrNotExist = errors.New("blob: no such object")
	// ErrExist: the key of a Create holds an object.
	ErrExist = errors.New("blob: object exists")
	// ErrNoSpace: the store is full or over its quota.
	ErrNoSpace = errors.New("blob: no space left")
	// ErrDenied: the credentials are wrong, or have no right to this.
	ErrDenied = errors.New("blob: access denied")
	// ErrNoBucket: the bucket itself is not there, which says nothing about the object.
	ErrNoBucket = errors.New("blob: no such bucket")
	// ErrTemporary: the store is away, overloaded or slow; the same call may succeed later.
	ErrTemporary = errors.New("blob: temporary failure")
	// ErrChecksum: the bytes changed on the way. A Put that returns it has stored nothing.
	ErrChecksum = errors.New("blob: checksum mismatch")
	// ErrChanged: the object was replaced or deleted while it was read, and the rest of it is no longer to be had.
	ErrChanged = errors.New("blob: object changed while it was read")
)

// Reason is a word for err out of a small set, for metrics and health: "ok" for nil, "other" for what has no sentinel.
func Reason(err error) string {
	if err == nil {
		return "ok"
	}
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.word
		}
	}
	return "other"
}

// reasons in the order of precedence: an error may wrap several.
var reasons = []struct {
	err  error
	word string
}{
	{ErrNotExist, "not_exist"}, {ErrExist, "exist"}, {ErrNoSpace, "no_space"}, {ErrDenied, "denied"}, {ErrNoBucket, "no_bucket"},
	{ErrChecksum, "checksum"}, {ErrChanged, "changed"}, {ErrTemporary, "temporary"}, {ErrKey, "key"},
	{errors.ErrUnsupported, "unsupported"}, {context.Canceled, "canceled"}, {context.DeadlineExceeded, "deadline"},
}
