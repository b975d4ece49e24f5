package playlist

import "strconv"

// RenderVOD renders the playlist of what is over: all its segments, and nothing will be added (4.3.3.5). Segments are counted
// from 0, as what is in no rendition at all is left out. Of the spec it takes Config.Target, Segments and Independent.
func RenderVOD(s Spec) []byte {
	b := make([]byte, 0, 256+160*len(s.Segments))
	b = append(b, "#EXTM3U\n#EXT-X-VERSION:"...)
	b = strconv.AppendInt(b, dvrVersion, 10)
	b = append(b, "\n#EXT-X-TARGETDURATION:"...)
	b = strconv.AppendInt(b, int64(s.Config.Target), 10)
	b = append(b, "\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MEDIA-SEQUENCE:0\n"...)
	if s.Independent {
		b = append(b, "#EXT-X-INDEPENDENT-SEGMENTS\n"...)
	}
	epoch := noEpoch
	for _, seg := range s.Segments {
		b = appendSegmentHead(b, seg, &epoch)
		b = appendSegment(b, seg)
	}
	return append(b, "#EXT-X-ENDLIST\n"...)
}
