package whep

import "mediad/media"

// order is what is known of the order in which a source's pictures are shown.
type order uint8

const (
	orderUnknown order = iota
	orderPlain         // as they come
	orderMixed         // some before one that came earlier: B-frames
)

// enoughPictures is how many a source with a delay between decoding and showing must send in order until it is believed
// to keep to it. Encoders show a B-frame within their first few pictures.
const enoughPictures = 16

// reorder judges an epoch's pictures as they come. It is pure.
type reorder struct {
	seen   int
	newest media.Ticks // PTS
	order  order
}

// add takes the next picture and returns what is known now. Mixed is for good; plain is believed until the contrary is seen.
func (r *reorder) add(au *media.AccessUnit) order {
	switch {
	case r.order == orderMixed:
	case r.seen > 0 && au.PTS < r.newest:
		r.order = orderMixed
	case r.seen == 0 && au.PTS == au.DTS, r.seen >= enoughPictures:
		r.order = orderPlain
	}
	r.seen++
	r.newest = max(r.newest, au.PTS)
	return r.order
}
