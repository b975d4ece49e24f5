package replay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
	"time"

	"mediad/media"
	"mediad/packager/playlist"
)

const (
	// stillHeight is the least that a rendition should have of which small pictures are made.
	stillHeight = 360
	// maxStill bounds a key frame in bytes: one of 8K has some 4 MB.
	maxStill = 16 << 20
)

// Stills finds key frames of a video for small pictures.
type Stills struct {
	video *Video
	of    *VideoRendition
}

// Still is where one key frame is.
type Still struct {
	Track *media.Track
	Media playlist.Media // the segment that begins with it
}

// Stills returns the key frames of the smallest rendition that is large enough for small pictures; false for sound alone.
func (v *Video) Stills() (Stills, bool) {
	var best *VideoRendition
	for _, r := range v.renditions {
		if r.track.Kind != media.Video {
			continue
		}
		switch {
		case best == nil,
			best.track.Height < stillHeight && r.track.Height > best.track.Height,
			r.track.Height >= stillHeight && r.track.Height < best.track.Height:
			best = r
		}
	}
	return Stills{v, best}, best != nil
}

// Size is the size at which the pictures are shown, in square pixels; it is that of their newest epoch.
func (s Stills) Size() (width, height int) {
	t := s.of.track
	tkhd, err := find(s.of.inits[s.of.segments[len(s.of.segments)-1].Epoch], "moov", "trak", "tkhd")
	if err != nil || len(tkhd) < 8 {
		return t.Width, t.Height
	}
	size := tkhd[len(tkhd)-8:] // 16.16 fixed point (14496-12, 8.3.2)
	width, height = int(binary.BigEndian.Uint16(size)), int(binary.BigEndian.Uint16(size[4:]))
	if width == 0 || height == 0 {
		return t.Width, t.Height
	}
	return width, height
}

// At is the newest key frame at a time of the video, or the first one where there is none before.
func (s Stills) At(at time.Duration) Still {
	line, segments := s.video.line, s.of.segments
	i := sort.Search(len(line), func(i int) bool { return line[i].at > at })
	msn := line[max(i-1, 0)].msn
	n := max(sort.Search(len(segments), func(i int) bool { return segments[i].MSN > msn })-1, 0)
	for n > 0 && !segments[n].Independent {
		n--
	}
	for n < len(segments)-1 && !segments[n].Independent {
		n++
	}
	x := &segments[n]
	return Still{Track: s.of.tracks[x.Epoch], Media: s.of.media(x)}
}

// ReadStill reads the first sample of a segment, and no more of it.
func ReadStill(segment io.Reader) ([]byte, error) {
	size := 0
	for {
		var head [boxHead]byte
		if _, err := io.ReadFull(segment, head[:]); err != nil {
			return nil, cutShort(err)
		}
		n := int64(binary.BigEndian.Uint32(head[:])) - boxHead
		if n < 0 {
			return nil, fmt.Errorf("%w: %q", ErrMedia, head[4:])
		}
		switch name := string(head[4:]); {
		case name == "mdat" && (size <= 0 || size > maxStill || int64(size) > n):
			return nil, fmt.Errorf("%w: first sample of %d bytes in %d", ErrMedia, size, n)
		case name == "mdat":
			sample := make([]byte, size)
			_, err := io.ReadFull(segment, sample)
			return sample, cutShort(err)
		case name == "moof" && n > maxMoof:
			return nil, fmt.Errorf("%w: moof of %d bytes", ErrMedia, n)
		case name == "moof":
			moof := make([]byte, n)
			if _, err := io.ReadFull(segment, moof); err != nil {
				return nil, cutShort(err)
			}
			var err error
			if size, err = firstSize(moof); err != nil {
				return nil, err
			}
		default:
			if err := discard(segment, n); err != nil {
				return nil, cutShort(err)
			}
		}
	}
}

// Flags of tfhd and trun (14496-12, 8.8.7 and 8.8.8).
const (
	tfhdBaseOffset, tfhdDescription, tfhdDuration, tfhdSize = 0x1, 0x2, 0x8, 0x10

	trunDataOffset, trunFirstFlags, trunDuration, trunSize = 0x1, 0x4, 0x100, 0x200
)

// firstSize is how long the first sample of a fragment is, by the body of its moof.
func firstSize(moof []byte) (int, error) {
	tfhd, err := find(moof, "traf", "tfhd")
	if err != nil {
		return 0, err
	}
	trun, err := find(moof, "traf", "trun")
	if err != nil {
		return 0, err
	}
	_, of, fixed, err1 := full(tfhd, 4)
	_, each, list, err2 := full(trun, 4)
	if err := errors.Join(err1, err2); err != nil {
		return 0, err
	}
	field := func(b []byte, at int, flags uint32, before map[uint32]int) (int, error) {
		for flag, n := range before {
			if flags&flag != 0 {
				at += n
			}
		}
		if len(b) < at+4 {
			return 0, fmt.Errorf("%w: no size", ErrMedia)
		}
		return int(binary.BigEndian.Uint32(b[at:])), nil
	}
	if each&trunSize != 0 {
		return field(list, 4, each, map[uint32]int{trunDataOffset: 4, trunFirstFlags: 4, trunDuration: 4})
	}
	if of&tfhdSize == 0 {
		return 0, fmt.Errorf("%w: samples without size", ErrMedia)
	}
	return field(fixed, 4, of, map[uint32]int{tfhdBaseOffset: 8, tfhdDescription: 4, tfhdDuration: 4})
}
