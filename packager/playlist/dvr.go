package playlist

import "strconv"

// dvrVersion is EXT-X-VERSION of the DVR playlist: 6 is the first that has EXT-X-MAP for ordinary segments (section 8).
const dvrVersion = 6

// RenderDVR renders the playlist over the DVR range: the same segments, but no parts, hints, reports or blocking, so
// that any client may seek in it and need not reload it more than once a segment. Of the spec it takes Config.Target,
// Segments, DiscontinuitySequence, Independent and Ended.
func RenderDVR(s Spec) []byte {
	b := make([]byte, 0, 256+160*len(s.Segments))
	b = append(b, "#EXTM3U\n#EXT-X-VERSION:"...)
	b = strconv.AppendInt(b, dvrVersion, 10)
	b = append(b, "\n#EXT-X-TARGETDURATION:"...)
	b = strconv.AppendInt(b, int64(s.Config.Target), 10)
	b = appendSequence(b, s.Segments, s.DiscontinuitySequence, s.Independent)
	epoch := noEpoch
	for _, seg := range s.Segments {
		b = appendSegmentHead(b, seg, &epoch)
		b = appendSegment(b, seg)
	}
	if s.Ended {
		b = append(b, "#EXT-X-ENDLIST\n"...)
	}
	return b
}
