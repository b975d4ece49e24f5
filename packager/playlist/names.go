package playlist

import "strconv"

// MediaPlaylist is the file name of the live playlists and DVRPlaylist that of those over the DVR range.
const (
	MediaPlaylist = "index.m3u8"
	DVRPlaylist   = "dvr.m3u8"
)

// AppendInitName appends init_{epoch}.mp4, the file name of an init segment.
func AppendInitName(b []byte, epoch int64) []byte {
	b = append(b, "init_"...)
	b = strconv.AppendInt(b, epoch, 10)
	return append(b, ".mp4"...)
}

// AppendSegmentName appends seg_{epoch}_{msn}.m4s, the file name of a segment.
func AppendSegmentName(b []byte, epoch int64, msn uint64) []byte {
	b = append(b, "seg_"...)
	b = strconv.AppendInt(b, epoch, 10)
	b = append(b, '_')
	b = strconv.AppendUint(b, msn, 10)
	return append(b, ".m4s"...)
}

// AppendPartName appends part_{epoch}_{msn}_{part}.m4s, the file name of a part.
func AppendPartName(b []byte, epoch int64, msn uint64, part int) []byte {
	b = append(b, "part_"...)
	b = strconv.AppendInt(b, epoch, 10)
	b = append(b, '_')
	b = strconv.AppendUint(b, msn, 10)
	b = append(b, '_')
	b = strconv.AppendInt(b, int64(part), 10)
	return append(b, ".m4s"...)
}
