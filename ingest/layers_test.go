package ingest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/media"
	"mediad/media/mediatest"
)

// layerPub is a Publisher that takes layers.
type layerPub struct {
	layers [][]*media.Track
	epochs int
	units  [MaxLayers + 1]int
}

func (p *layerPub) SetLayers(l []*media.Track) { p.layers = append(p.layers, l) }
func (p *layerPub) StartEpoch([media.Kinds]*media.Track, time.Duration, time.Time, string) error {
	p.epochs++
	return nil
}
func (p *layerPub) Write(au media.AccessUnit) error { p.units[au.Layer]++; return nil }
func (p *layerPub) Repaired(string, int)            {}

// TestLayersNeverBeginAnEpoch: one that comes late, or changes, waits for the source's next.
func TestLayersNeverBeginAnEpoch(t *testing.T) {
	p := &layerPub{}
	now := time.Now()
	f := NewFeed(FeedOptions{Publisher: p, Now: func() time.Time { return now }})
	f.NoTrack(media.Audio)
	require.NoError(t, f.Track(media.Video, mediatest.H264Track(1920, 1080, 30, 1)))
	f.Layer(1, mediatest.H264Track(1280, 720, 30, 1))
	f.Layer(0, mediatest.H264Track(1280, 720, 30, 1))
	f.Layer(MaxLayers+1, mediatest.H264Track(1280, 720, 30, 1))
	send := func(from, n int) {
		for i, au := range mediatest.Video(mediatest.VideoPattern{Frames: n, GOP: 10}) {
			au.DTS += media.Ticks(from * 3000)
			au.PTS += media.Ticks(from * 3000)
			au.RandomAccess = i%10 == 0
			require.NoError(t, f.Write(au))
			for layer := range uint8(MaxLayers + 2) {
				au.Layer = layer
				require.NoError(t, f.WriteLayer(au))
			}
			now = now.Add(time.Second / 30)
		}
	}
	send(0, 20)
	require.Equal(t, 1, p.epochs)
	require.Len(t, p.layers, 1)
	require.Len(t, p.layers[0], 1)
	require.Equal(t, p.units[0], p.units[1])

	f.Layer(2, mediatest.H264Track(640, 360, 30, 1)) // late
	f.Layer(1, mediatest.H264Track(960, 540, 30, 1)) // changed
	before := p.units[1]
	send(20, 20)
	require.Equal(t, 1, p.epochs)
	require.Equal(t, before, p.units[1])
	require.Zero(t, p.units[2])

	require.NoError(t, f.Track(media.Video, mediatest.H264Track(1600, 900, 30, 1)))
	send(40, 20)
	f.Flush()
	require.Equal(t, 2, p.epochs)
	require.Len(t, p.layers[1], 2)
	require.Equal(t, 960, p.layers[1][0].Width)
	require.Equal(t, before+20, p.units[1])
	require.Equal(t, 20, p.units[2])
}
