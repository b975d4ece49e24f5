package audio

import "mediad/media"

// EncodeOpus begins to make Opus of AAC, 20 ms a packet, for as long as somebody hears; see Encoder. It does not wait for the child.
func EncodeOpus(t *media.Track, o Options) (*Encoder, error) {
	j, err := aacToOpus(t)
	if err != nil {
		return nil, err
	}
	return newEncoder(o.withDefaults(), j, none), nil
}
