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

	"mediad/store/blob"
)

// faulty fails every request with err, where that is not nil.
type faulty struct {
	blob.Store
	err   error
	asked int
}

func (f *faulty) fault() error {
	f.asked++
	return f.err
}

func (f *faulty) Put(ctx context.Context, key string, r io.Reader, size int64, m blob.Meta) error {
	if err := f.fault(); err != nil {
		return err
	}
	return f.Store.Put(ctx, key, r, size, m)
}

func (f *faulty) Stat(ctx context.Context, key string) (blob.Info, error) {
	if err := f.fault(); err != nil {
		return blob.Info{}, err
	}
	return f.Store.Stat(ctx, key)
}

func stat(t *testing.T, s blob.Store) error {
	_, err := s.Stat(t.Context(), "k")
	return err
}

func TestGuardOpensAndProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := fmt.Errorf("refused: %w", blob.ErrTemporary)
		f := &faulty{Store: inMemory()}
		g := blob.NewGuard(f, blob.GuardOptions{Failures: 3, Cooldown: 10 * time.Second, MaxCooldown: 30 * time.Second})
		require.ErrorIs(t, stat(t, g), blob.ErrNotExist)
		assert.Equal(t, blob.GuardStatus{State: blob.GuardClosed}, g.Status())
		f.err = away
		for range 2 {
			require.ErrorIs(t, stat(t, g), away)
		}
		f.err = nil
		require.ErrorIs(t, stat(t, g), blob.ErrNotExist)
		f.err = away
		for range 2 { // the row was broken by an answer
			require.ErrorIs(t, stat(t, g), away)
			assert.Equal(t, blob.GuardClosed, g.Status().State)
		}
		require.ErrorIs(t, stat(t, g), away)
		status := g.Status()
		assert.Equal(t, blob.GuardOpen, status.State)
		assert.Equal(t, time.Now(), status.Since)
		require.ErrorIs(t, status.Err, away)
		wait := time.Until(status.RetryAt)
		assert.True(t, 9*time.Second <= wait && wait <= 11*time.Second, "%s", wait)

		asked := f.asked
		err := stat(t, g)
		require.ErrorIs(t, err, blob.ErrTemporary)
		require.ErrorContains(t, err, "breaker open")
		assert.Equal(t, asked, f.asked, "nothing is sent while it is open")

		for _, least := range []time.Duration{18, 27, 27} { // twice as long each time, up to the most
			time.Sleep(time.Until(g.Status().RetryAt))
			require.ErrorIs(t, stat(t, g), away)
			asked++
			assert.Equal(t, asked, f.asked, "one probe")
			require.ErrorContains(t, stat(t, g), "breaker open")
			assert.GreaterOrEqual(t, time.Until(g.Status().RetryAt), least*time.Second)
		}
		f.err = nil
		require.Error(t, g.Put(t.Context(), "k", strings.NewReader("x"), 1, blob.Meta{}), "not before its time")
		time.Sleep(time.Until(g.Status().RetryAt))
		require.NoError(t, g.Put(t.Context(), "k", strings.NewReader("x"), 1, blob.Meta{}))
		assert.Equal(t, blob.GuardStatus{State: blob.GuardClosed}, g.Status())
	})
}

func TestGuardCountsTheStoresFaultsAlone(t *testing.T) {
	f := &faulty{Store: inMemory()}
	g := blob.NewGuard(f, blob.GuardOptions{Failures: 1})
	for _, err := range []error{blob.ErrNotExist, blob.ErrNoSpace, blob.ErrExist, blob.ErrKey, blob.ErrChecksum,
		errors.ErrUnsupported, context.Canceled, context.DeadlineExceeded, io.ErrUnexpectedEOF} {
		f.err = err
		require.ErrorIs(t, stat(t, g), err)
		require.Equal(t, blob.GuardClosed, g.Status().State, "%v", err)
	}
	for _, err := range []error{blob.ErrTemporary, blob.ErrDenied, blob.ErrNoBucket} {
		f.err = err
		g = blob.NewGuard(f, blob.GuardOptions{Failures: 1})
		require.ErrorIs(t, stat(t, g), err)
		require.Equal(t, blob.GuardOpen, g.Status().State, "%v", err)
		require.ErrorIs(t, stat(t, g), blob.ErrTemporary)
	}
}

func TestGuardLetsOneProbeThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &faulty{Store: inMemory(), err: blob.ErrTemporary}
		g := blob.NewGuard(f, blob.GuardOptions{Failures: 1})
		require.Error(t, stat(t, g))
		time.Sleep(2 * time.Second)
		f.err = nil
		body := &waiting{release: make(chan struct{}), text: strings.NewReader("x")}
		done := make(chan error, 1)
		go func() { done <- g.Put(t.Context(), "k", body, 1, blob.Meta{}) }()
		synctest.Wait()
		assert.Equal(t, blob.GuardHalfOpen, g.Status().State)
		require.ErrorContains(t, stat(t, g), "breaker open")
		close(body.release)
		require.NoError(t, <-done)
		assert.Equal(t, blob.GuardClosed, g.Status().State)

		// A probe that says nothing of the store makes room for another.
		f.err = blob.ErrTemporary
		require.Error(t, stat(t, g))
		time.Sleep(2 * time.Second)
		f.err = context.Canceled
		require.ErrorIs(t, stat(t, g), context.Canceled)
		f.err = nil
		require.NoError(t, stat(t, g))
	})
}

type waiting struct {
	release chan struct{}
	text    io.Reader
}

func (w *waiting) Read(p []byte) (int, error) {
	<-w.release
	return w.text.Read(p)
}

func TestGuardSurvivesAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &faulty{Store: inMemory(), err: blob.ErrTemporary}
		g := blob.NewGuard(f, blob.GuardOptions{Failures: 1})
		require.Error(t, stat(t, g))
		time.Sleep(2 * time.Second)
		f.err = nil
		require.Panics(t, func() { _ = g.Put(t.Context(), "k", panicking{}, 1, blob.Meta{}) })
		assert.Equal(t, blob.GuardOpen, g.Status().State)
		time.Sleep(time.Minute)
		require.ErrorIs(t, stat(t, g), blob.ErrNotExist)
		assert.Equal(t, blob.GuardClosed, g.Status().State)
	})
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("read") }

func TestGuardKeepsTheListersErrorsApart(t *testing.T) {
	g := blob.NewGuard(inMemory(), blob.GuardOptions{Failures: 1})
	require.NoError(t, g.Put(t.Context(), "k", strings.NewReader("x"), 1, blob.Meta{}))
	err := g.List(t.Context(), "", func(blob.Info) error { return blob.ErrTemporary })
	require.ErrorIs(t, err, blob.ErrTemporary)
	assert.Equal(t, blob.GuardClosed, g.Status().State)
}
