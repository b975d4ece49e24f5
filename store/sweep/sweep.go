// Package sweep has the loop of whoever deletes now and then what has expired.
package sweep

import (
	"context"
	"log/slog"
	"time"
)

// Once deletes what has expired, and tells how many there were.
type Once func(context.Context) (gone int64, err error)

// Each does what is to be done each so often, until ctx ends. A failure is logged as the words of left, and is no reason to stop: the next round
// finds the same.
func Each(ctx context.Context, every time.Duration, log *slog.Logger, left string, do Once) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if _, err := do(ctx); err != nil && ctx.Err() == nil {
				log.Warn(left, "error", err)
			}
		}
	}
}
