package db

import (
	"time"

	"github.com/google/uuid"
)

// Millis is a moment in unix milliseconds, as the _at columns hold it: the same on both databases, and exactly what the
// API shows.
type Millis int64

// At cuts t to milliseconds.
func At(t time.Time) Millis { return Millis(t.UnixMilli()) }

// Time is the moment in UTC.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)).UTC() }

// AtPtr is At for a column that may be NULL.
func AtPtr(t time.Time) *Millis {
	m := At(t)
	return &m
}

// NewID makes a UUIDv7, lower-case.
func NewID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", err
	}
	return id.String(), nil
}
