package db

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"gorm.io/gorm/logger"
)

// slowStatement is far above what any statement of ours takes on a quiet disk.
const slowStatement = 200 * time.Millisecond

// statementLog is gorm's logger. Values never reach it, so no hash or address does.
type statementLog struct {
	log     *slog.Logger
	observe func(string, time.Duration, error)
}

var _ logger.Interface = statementLog{}

func (l statementLog) LogMode(logger.LogLevel) logger.Interface { return l }

func (l statementLog) Info(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, "database: "+fmt.Sprintf(format, args...))
}

func (l statementLog) Warn(ctx context.Context, format string, args ...any) {
	l.log.WarnContext(ctx, "database: "+fmt.Sprintf(format, args...))
}

func (l statementLog) Error(ctx context.Context, format string, args ...any) {
	l.log.ErrorContext(ctx, "database: "+fmt.Sprintf(format, args...))
}

// ParamsFilter keeps values out of the statement's text.
func (l statementLog) ParamsFilter(_ context.Context, statement string, _ ...any) (string, []any) {
	return statement, nil
}

// placeholder is one of PostgreSQL's as gorm leaves it where it is given no value to put there: $1$.
var placeholder = regexp.MustCompile(`\$(\d+)\$`)

func (l statementLog) Trace(ctx context.Context, begin time.Time, ask func() (string, int64), err error) {
	took := time.Since(begin)
	statement := func() (string, int64) {
		text, rows := ask()
		return placeholder.ReplaceAllString(text, "$$$1"), rows
	}
	if l.observe != nil {
		text, _ := statement()
		l.observe(text, took, err)
	}
	switch {
	case took > slowStatement:
		text, rows := statement()
		l.log.WarnContext(ctx, "slow statement", "statement", text, "rows", rows, "took", took)
	case err != nil && l.log.Enabled(ctx, slog.LevelDebug):
		text, _ := statement()
		l.log.DebugContext(ctx, "statement failed", "statement", text, "error", err)
	}
}
