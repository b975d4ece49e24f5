package rtc

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pion/logging"
)

// loggers hands pion's log lines to slog. All but its errors are about one peer's packets, which anybody can send: they are for
// who debugs. Errors come at most once a second, with how many were left out.
type loggers struct {
	log *slog.Logger

	mu      sync.Mutex // guards the following
	last    time.Time
	skipped int
}

const errorsEvery = time.Second

// NewLogger is what pion calls for each of its parts.
func (f *loggers) NewLogger(scope string) logging.LeveledLogger {
	return &logger{f: f, log: f.log.With("part", scope)}
}

// admit reports whether an error may be logged now, and how many were not since the last.
func (f *loggers) admit(now time.Time) (skipped int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.last) < errorsEvery {
		f.skipped++
		return 0, false
	}
	skipped, f.skipped, f.last = f.skipped, 0, now
	return skipped, true
}

type logger struct {
	f   *loggers
	log *slog.Logger
}

func (l *logger) debug(level string, text func() string) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("rtc: "+text(), "level", level)
	}
}

func (l *logger) fault(text func() string) {
	if skipped, ok := l.f.admit(time.Now()); ok {
		l.log.Warn("rtc: "+text(), "skipped", skipped)
	}
}

// Trace drops the line: there is one a packet.
func (*logger) Trace(string) {}

// Tracef drops the line.
func (*logger) Tracef(string, ...any) {}

// Debug logs at debug level.
func (l *logger) Debug(msg string) { l.debug("debug", func() string { return msg }) }

// Debugf logs at debug level.
func (l *logger) Debugf(format string, a ...any) {
	l.debug("debug", func() string { return fmt.Sprintf(format, a...) })
}

// Info logs at debug level.
func (l *logger) Info(msg string) { l.debug("info", func() string { return msg }) }

// Infof logs at debug level.
func (l *logger) Infof(format string, a ...any) {
	l.debug("info", func() string { return fmt.Sprintf(format, a...) })
}

// Warn logs at debug level.
func (l *logger) Warn(msg string) { l.debug("warn", func() string { return msg }) }

// Warnf logs at debug level.
func (l *logger) Warnf(format string, a ...any) {
	l.debug("warn", func() string { return fmt.Sprintf(format, a...) })
}

// Error logs a warning, seldom.
func (l *logger) Error(msg string) { l.fault(func() string { return msg }) }

// Errorf logs a warning, seldom.
func (l *logger) Errorf(format string, a ...any) {
	l.fault(func() string { return fmt.Sprintf(format, a...) })
}
