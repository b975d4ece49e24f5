package media

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProfileNames(t *testing.T) {
	for _, c := range []struct {
		codec  Codec
		config []byte
		want   string
	}{
		{H264, []byte{1, 66, 0x40, 31}, "Constrained Baseline"},
		{H264, []byte{1, 66, 0x80, 31}, "Baseline"},
		{H264, []byte{1, 77, 0, 31}, "Main"},
		{H264, []byte{1, 100, 0, 31}, "High"},
		{H264, []byte{1, 99, 0, 31}, ""},
		{H264, []byte{1}, ""},
		{H265, []byte{1, 1<<5 | 2}, "Main 10"},
		{AV1, []byte{0x81, 0x08}, "Main"},
		{VP9, []byte{1, 0, 0, 0, 2, 10}, "Profile 2"},
		{VP9, []byte{1, 0}, ""},
		{VP8, []byte{1, 0, 0, 0, 0, 41}, "Profile 0"},
		{AAC, []byte{0x11, 0x90}, ""},
	} {
		require.Equal(t, c.want, (&Track{Codec: c.codec, Config: c.config}).Profile(), "%v %v", c.codec, c.config)
	}
}
