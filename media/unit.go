package media

// AccessUnit is one coded picture or one audio frame: all bytes that share a DTS and PTS.
//
// It is a value; Data is shared by everyone downstream and is never written after the unit exists.
type AccessUnit struct {
	Kind Kind

	// Layer tells the encodings apart that a publisher sends of one picture: 0 is the source, and n is the layer that live.Epoch.Layers has
	// at n−1. Sound has none.
	Layer uint8

	// DTS and PTS are in the track's timescale, on a line that both tracks of a publisher share.
	// Behind the firewall DTS rises strictly within a track and PTS ≥ DTS.
	DTS, PTS Ticks

	// Duration is what the firewall vouches for: the next unit of this track comes at DTS+Duration or, if
	// frames are missing, later; never earlier. 0 where the rate is variable or not known yet: then only
	// the next unit tells how long this one lasts. Audio always has it.
	Duration Ticks

	// RandomAccess says that decoding may start here: an IDR (or clean CRA), an AV1, VP9 or VP8 key frame, any
	// audio frame. OpenGOP marks a random access unit whose following pictures may refer back past it.
	RandomAccess bool
	OpenGOP      bool

	// Disposable says that no other picture refers to this one.
	Disposable bool

	// Data is in the form an MP4 sample has: NAL units behind 4-byte lengths for H.264 and H.265 (parameter
	// sets may be inside as well), a temporal unit without delimiter for AV1, a frame for VP9 and VP8, a raw data
	// block for AAC, a packet for Opus.
	Data []byte
}
