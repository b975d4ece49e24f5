// Package blob is the contract of the object store: immutable objects by key, on disk or in a bucket.
//
// A key is a slash-separated relative path of segments from [A-Za-z0-9._-], 1 to 512 bytes, no segment "." or "..".
// Every method may be called from any goroutine. An object appears whole or not at all.
package blob

import (
	"context"
	"io"
	"time"
)

// Info describes one object.
type Info struct {
	Key      string
	Size     int64
	Modified time.Time
	// Meta is what Put was given, where the store keeps it; List leaves it out.
	Meta Meta
}

// Meta travels with an object where the store can hold it.
type Meta struct {
	ContentType  string
	CacheControl string
}

// Store keeps objects.
type Store interface {
	// Put stores size bytes from r under key, replacing what was there, and returns once they are durable.
	// A body shorter or longer than size is an error and stores nothing.
	Put(ctx context.Context, key string, r io.Reader, size int64, m Meta) error
	// Open returns length bytes of the object from offset; length -1 means to the end. A range that ends
	// beyond the object is cut there. The caller closes the reader, which keeps reading a consistent object
	// even if the key is replaced or deleted meanwhile. In a bucket ctx holds for the reading too, and a reader that
	// must begin again after a broken connection may end with ErrChanged: it never mixes two objects.
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	// Stat describes the object under key.
	Stat(ctx context.Context, key string) (Info, error)
	// List calls fn for every object whose key begins with prefix, in key order, until fn returns an error.
	List(ctx context.Context, prefix string, fn func(Info) error) error
	// Delete removes the object. Deleting what is not there is not an error.
	Delete(ctx context.Context, key string) error
}

// Appender is an optional ability: objects that grow while they are read. Disk has it; buckets do not.
type Appender interface {
	// Append opens the object under key for appending, creating it if need be. truncate cuts an existing
	// object to that length first; -1 keeps it all. One writer at a time a key.
	Append(ctx context.Context, key string, truncate int64) (AppendFile, error)
}

// AppendFile is an object that grows. Bytes written are visible to Open at once; after a crash of the process
// (not of the machine) they are still there.
type AppendFile interface {
	io.Writer
	io.ReaderAt
	// Size is how many bytes the object has.
	Size() int64
	// Sync makes what was written survive a crash of the machine.
	Sync() error
	Close() error
}

// FileOpener is an optional ability: the object as a file of the operating system, so that it can be sent without
// a copy through this process. The caller closes the file.
type FileOpener interface {
	OpenFile(key string) (File, error)
}

// File is what FileOpener returns; *os.File has it.
type File interface {
	io.ReadSeekCloser
	io.ReaderAt
}
