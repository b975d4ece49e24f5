package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"mediad/api/object"
)

// objects is an object.Store in memory.
type objects struct {
	mu   sync.Mutex // guards what follows
	all  map[string][]byte
	away bool
}

func newObjects() *objects { return &objects{all: map[string][]byte{}} }

var errAway = errors.New("the store is away, with a secret path")

func (o *objects) Put(_ context.Context, key string, r io.Reader, size int64, _ string) error {
	data, err := io.ReadAll(r)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.away || err != nil || int64(len(data)) != size {
		return errors.Join(errAway, err)
	}
	o.all[key] = data
	return nil
}

func (o *objects) Open(_ context.Context, key string) (io.ReadCloser, int64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	data, ok := o.all[key]
	switch {
	case o.away:
		return nil, 0, errAway
	case !ok:
		return nil, 0, object.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(data)), int64(len(data)), nil
}

func (o *objects) Delete(_ context.Context, key string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.away {
		return errAway
	}
	delete(o.all, key)
	return nil
}

// snapshot is all that there is.
func (o *objects) snapshot() map[string][]byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := map[string][]byte{}
	for key, data := range o.all {
		all[key] = data
	}
	return all
}

func (o *objects) goAway(away bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.away = away
}
