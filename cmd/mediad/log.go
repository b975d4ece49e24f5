package main

import (
	"io"
	"log/slog"
	"os"
	"time"

	"mediad/api/redact"
	"mediad/api/trace"
)

// newLogger logs text to a terminal and JSON to anything else, unless format says which. No secret gets through it. A
// line of a request that belongs to somebody's trace says so.
func newLogger(w io.Writer, format string, level *slog.LevelVar) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: readable}
	clean := redact.Writer{W: w}
	if format == "text" || format == "auto" && isTerminal(w) {
		return slog.New(trace.Handler(slog.NewTextHandler(clean, options)))
	}
	return slog.New(trace.Handler(slog.NewJSONHandler(clean, options)))
}

// readable writes durations as people do: 4.04s instead of 4040000000.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		return slog.String(a.Key, a.Value.Duration().Round(time.Millisecond/10).String())
	}
	return a
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// setLevel takes a name that the configuration has checked.
func setLevel(v *slog.LevelVar, name string) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(name)); err == nil {
		v.Set(l)
	}
}
