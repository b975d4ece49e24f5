package rtsp

import "mediad/media"

// PCM is linear sound: 16 bits a sample, little-endian, channels interleaved.
type PCM struct{ Rate, Channels int }

// Transcoder makes sound that is not carried any further, such as G.711, into one that is.
type Transcoder interface {
	// Transcode begins with the sound of one publisher. out is given what comes of it: with each unit its track, whose
	// timescale the unit's timestamps have, on the line of those that went in. It is called from one goroutine of the
	// Sound's own, never from within Write, and does not block.
	Transcode(f PCM, out func(t *media.Track, au media.AccessUnit)) (Sound, error)
}

// Sound is one publisher's sound on its way through a Transcoder.
type Sound interface {
	// Write takes sound; pts is that of its first sample, counted in samples. It does not block: what there is no room
	// for is dropped. The bytes are not changed after.
	Write(pts media.Ticks, pcm []byte) error
	// Close ends it and waits; out is not called after.
	Close()
}
