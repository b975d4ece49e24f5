package run

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mediad/internal/testx"
)

func TestMain(m *testing.M) { testx.Main(m) }

func TestTasksStopInReverseEachBeforeTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group
		var stopped []string
		for _, name := range []string{"database", "hub", "listener"} {
			g.Add(name, func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(time.Second) // in the bubble: a task that takes its time
				stopped = append(stopped, name)
				return ctx.Err()
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := g.Run(ctx); err != nil {
			t.Fatalf("stopping is not an error: %v", err)
		}
		if want := []string{"listener", "hub", "database"}; !slices.Equal(stopped, want) {
			t.Fatalf("stopped %v, want %v", stopped, want)
		}
	})
}

func TestOneFailureStopsAll(t *testing.T) {
	for name, fail := range map[string]func(context.Context) error{
		"error": func(context.Context) error { return errors.New("port taken") },
		"panic": func(context.Context) error { panic("port taken") },
	} {
		t.Run(name, func(t *testing.T) {
			var g Group
			g.Add("steady", func(ctx context.Context) error { <-ctx.Done(); return nil })
			g.Add("weak", fail)
			err := g.Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), "weak: ") || !strings.Contains(err.Error(), "port taken") {
				t.Fatalf("error %v", err)
			}
		})
	}
}

func TestTasksThatAreDoneLeaveTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group
		g.Add("once", func(context.Context) error { return nil })
		g.Add("longer", func(ctx context.Context) error {
			select {
			case <-time.After(time.Hour):
				return nil
			case <-ctx.Done():
				return errors.New("stopped too early")
			}
		})
		if err := g.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestATaskThatDoesNotStopIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := Group{StopTimeout: time.Second}
		release := make(chan struct{})
		stopped := false
		g.Add("below", func(ctx context.Context) error { <-ctx.Done(); stopped = true; return nil })
		g.Add("stubborn", func(context.Context) error { <-release; return nil })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := g.Run(ctx)
		if err == nil || !strings.Contains(err.Error(), "stubborn: did not stop") || !stopped {
			t.Fatalf("error %v, below stopped: %v", err, stopped)
		}
		close(release)
	})
}
