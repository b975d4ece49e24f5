package main

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestLogsHaveNoSecrets(t *testing.T) {
	for _, format := range []string{"text", "json", "auto"} {
		var kept bytes.Buffer
		newLogger(&kept, format, new(slog.LevelVar)).Info("publisher refused", "url", "rtmp://tv.example/live/abcdefgh1234", "password", "correct horse")
		assert.Contains(t, kept.String(), "/live/***1234", format)
		assert.NotContains(t, kept.String(), "correct", format)
	}
}
