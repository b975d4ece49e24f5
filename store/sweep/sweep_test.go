package sweep

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestEachGoesOnAfterAFailure, says what is left, and ends with its context.
func TestEachGoesOnAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var said strings.Builder
		var rounds []time.Time
		began := time.Now()
		err := Each(ctx, time.Minute, slog.New(slog.NewTextHandler(&said, nil)), "answers were not deleted", func(context.Context) (int64, error) {
			if rounds = append(rounds, time.Now()); len(rounds) < 3 {
				return 0, errors.New("the database is away")
			}
			cancel()
			return 0, errors.New("stopped in the middle")
		})
		require.NoError(t, err)
		require.Equal(t, []time.Time{began.Add(time.Minute), began.Add(2 * time.Minute), began.Add(3 * time.Minute)}, rounds)
		require.Equal(t, 2, strings.Count(said.String(), "answers were not deleted"), "a stop is no failure")
	})
}
