package blob_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"mediad/internal/testx"
	"mediad/store/blob"
	"mediad/store/blob/blobtest"
	"mediad/store/blob/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func inMemory() blob.Store { return memory.New(memory.Options{MaxBytes: 256 << 20}) }

func TestLimitConformance(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return blob.Limit(inMemory(), 4) })
}
func TestGuardConformance(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return blob.NewGuard(inMemory(), blob.GuardOptions{}) })
}
func TestObserveConformance(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return blob.Observe(inMemory(), nobody{}) })
}

type nobody struct{}

func (nobody) BlobDone(string, int64, time.Duration, error) {}

func TestLimitBoundsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := blob.Limit(inMemory(), 2)
		bodies := make([]*waiting, 3)
		var g errgroup.Group
		for i := range bodies {
			bodies[i] = &waiting{release: make(chan struct{}), text: strings.NewReader("x")}
			g.Go(func() error { return s.Put(t.Context(), fmt.Sprint(i), bodies[i], 1, blob.Meta{}) })
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.Stat(ctx, "0")
		require.ErrorIs(t, err, context.DeadlineExceeded, "who waits for a turn sees the own end")
		for _, b := range bodies {
			close(b.release)
		}
		require.NoError(t, g.Wait())
	})
}

func TestLimitCountsOpenReaders(t *testing.T) {
	s := blob.Limit(inMemory(), 1)
	require.NoError(t, s.Put(t.Context(), "k", strings.NewReader("body"), 4, blob.Meta{}))
	free := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := s.Stat(ctx, "k")
		return err == nil
	}
	for name, end := range map[string]func(io.ReadCloser) error{
		"close": func(r io.ReadCloser) error { return errors.Join(r.Close(), r.Close()) },
		"end":   func(r io.ReadCloser) error { _, err := io.ReadAll(r); return err },
	} {
		r, err := s.Open(t.Context(), "k", 0, -1)
		require.NoError(t, err)
		require.False(t, free(), name)
		require.NoError(t, end(r))
		testx.WaitFor(t, "the slot", free)
		require.NoError(t, r.Close())
		testx.WaitFor(t, "the slot", free)
	}
	_, err := s.Open(t.Context(), "none", 0, -1)
	require.ErrorIs(t, err, blob.ErrNotExist)
	testx.WaitFor(t, "the slot", free)
}

// tally keeps what it was told.
type tally struct{ told []string }

func (o *tally) BlobDone(op string, bytes int64, took time.Duration, err error) {
	if took >= 0 {
		o.told = append(o.told, fmt.Sprintf("%s %d %s", op, bytes, blob.Reason(err)))
	}
}

func TestObserverIsTold(t *testing.T) {
	var o tally
	s := blob.Observe(inMemory(), &o)
	require.NoError(t, s.Put(t.Context(), "k", strings.NewReader("body"), 4, blob.Meta{}))
	require.Error(t, s.Put(t.Context(), "k", strings.NewReader("body"), 5, blob.Meta{}))
	require.ErrorIs(t, blob.Create(t.Context(), s, "k", strings.NewReader("x"), 1, blob.Meta{}), blob.ErrExist)
	r, err := s.Open(t.Context(), "k", 1, -1)
	require.NoError(t, err)
	_, err = io.ReadAll(r)
	require.NoError(t, errors.Join(err, r.Close()))
	_, err = s.Open(t.Context(), "none", 0, -1)
	require.Error(t, err)
	_, err = s.Stat(t.Context(), "k")
	require.NoError(t, err)
	require.NoError(t, s.List(t.Context(), "", func(blob.Info) error { return nil }))
	require.NoError(t, blob.DeleteAll(t.Context(), s, []string{"a", "k"}))
	require.NoError(t, s.Delete(t.Context(), "k"))
	assert.Equal(t, []string{"put 4 ok", "put 0 other", "create 0 exist", "open 0 ok", "read 3 ok", "open 0 not_exist", "stat 0 ok",
		"list 0 ok", "delete_all 0 ok", "delete 0 ok"}, o.told)
	for _, told := range o.told {
		assert.Contains(t, blob.Ops, strings.Fields(told)[0])
	}
}

func TestAsFindsAbilities(t *testing.T) {
	inner := memory.New(memory.Options{})
	s := blob.Observe(blob.Limit(blob.NewGuard(inner, blob.GuardOptions{}), 1), nobody{})
	_, ok := blob.As[blob.Presigner](s)
	assert.False(t, ok)
	a, ok := blob.As[blob.Appender](s)
	assert.True(t, ok)
	assert.Same(t, inner, a)
	g, ok := blob.As[*blob.Guard](s)
	assert.True(t, ok)
	assert.Equal(t, blob.GuardClosed, g.Status().State)
	err := blob.Create(t.Context(), struct{ blob.Store }{inner}, "k", strings.NewReader("x"), 1, blob.Meta{})
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

func TestReasonsAreWords(t *testing.T) {
	assert.Equal(t, "ok", blob.Reason(nil))
	assert.Equal(t, "other", blob.Reason(errors.New("x")))
	assert.Equal(t, "temporary", blob.Reason(fmt.Errorf("%w: %w", blob.ErrTemporary, context.DeadlineExceeded)))
	assert.Equal(t, "denied", blob.Reason(&blob.DeleteError{Failed: map[string]error{"k": blob.ErrDenied}}))
}
