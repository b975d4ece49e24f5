package replay

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// A segment has a fragment a part, some of them without a key frame. FFmpeg, and with it Chromium, expects all tracks and a key frame
// in each fragment that a seek leads to, and goes on after it with the next one that the index names: what lies between is skipped. So
// the fragments of a segment and of the sound beside it become one, with one run of samples a track. That takes less than the heads of
// the others; the rest is filled with zeros at the end of the mdat, where no sample is, so that all keep their size together.

// fragment is one moof and mdat of a segment.
type fragment struct {
	moof []byte
	at   int64 // of the samples, in the segment
	data int64 // bytes of samples
}

// scan finds the fragments of a segment; nil if there is anything else in it. It tells how far it has read.
func scan(r io.Reader, size int64) (out []fragment, read int64, err error) {
	var moof []byte
	var head [boxHead]byte
	for at := int64(0); at < size; {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return nil, 0, cutShort(err)
		}
		n := int64(binary.BigEndian.Uint32(head[:]))
		name := string(head[4:])
		if n < boxHead || n > size-at || name == "moof" && n > maxMoof {
			return nil, 0, fmt.Errorf("%w: %q of %d bytes, where %d are left of the segment", ErrMedia, name, n, size-at)
		}
		switch {
		case name == "moof" && moof == nil:
			moof = make([]byte, n)
			copy(moof, head[:])
			if _, err := io.ReadFull(r, moof[boxHead:]); err != nil {
				return nil, 0, cutShort(err)
			}
		case name == "mdat" && moof != nil:
			out = append(out, fragment{moof, at + boxHead, n - boxHead})
			moof = nil
			if err := discard(r, n-boxHead); err != nil {
				return nil, 0, cutShort(err)
			}
		default:
			return nil, at + boxHead, nil
		}
		at += n
	}
	if moof != nil {
		return nil, 0, fmt.Errorf("%w: moof without mdat", ErrMedia)
	}
	return out, size, nil
}

// The fields that a fragment has for each sample, or once for all, in the order of trun and tfhd (14496-12, 8.8.7 and 8.8.8).
const (
	fieldDuration = iota
	fieldSize
	fieldFlags
	fields
)

var inTrun, inTfhd = [fields]uint32{0x100, 0x200, 0x400}, [fields]uint32{0x8, 0x10, 0x20}

const (
	trunCompOffset     = 0x800
	tfhdDefaultsToMoof = 0x20000
)

// samples are those of one fragment.
type samples struct {
	version  uint8
	flags    uint32 // of the trun
	count    int
	first    uint32 // flags of the first one, if trunFirstFlags
	entries  []byte
	defaults [fields]uint32
	has      [fields]bool // defaults
	start    int64        // tfdt
	length   int64        // ticks
}

// parse reads a moof of one track and run; false where it is of another kind.
func (f *fragment) parse() (s samples, ok bool) {
	if n := countBoxes(f.moof[boxHead:], "traf"); n != 1 {
		return s, false
	}
	traf, _ := find(f.moof, "moof", "traf")
	tfhd, err := find(traf, "traf", "tfhd")
	if err != nil || countBoxes(traf[boxHead:], "trun") != 1 || countBoxes(traf[boxHead:], "") != 3 {
		return s, false
	}
	_, of, body, err := full(tfhd, 4)
	if err != nil || of&^(inTfhd[fieldDuration]|inTfhd[fieldSize]|inTfhd[fieldFlags]) != tfhdDefaultsToMoof {
		return s, false
	}
	body = body[4:]
	for i, flag := range inTfhd {
		if of&flag != 0 && len(body) >= 4 {
			s.defaults[i], s.has[i], body = binary.BigEndian.Uint32(body), true, body[4:]
		}
	}
	tfdt, err := find(traf, "traf", "tfdt")
	if err != nil {
		return s, false
	}
	if s.start, err = decodeTime(tfdt); err != nil {
		return s, false
	}
	trun, _ := find(traf, "traf", "trun")
	if s.version, s.flags, body, err = full(trun, 8); err != nil || s.flags&trunDataOffset == 0 {
		return s, false
	}
	s.count = int(binary.BigEndian.Uint32(body))
	if binary.BigEndian.Uint32(body[4:]) != uint32(len(f.moof)+boxHead) {
		return s, false
	}
	body = body[8:]
	if s.flags&trunFirstFlags != 0 {
		if len(body) < 4 {
			return s, false
		}
		s.first, body = binary.BigEndian.Uint32(body), body[4:]
	}
	s.entries = body
	// Samples have a byte at least: a count that nothing bears out is not given memory.
	return s, s.count > 0 && int64(s.count) <= f.data && len(body) == s.count*s.entry() && s.measure() && s.bytes() == f.data
}

func countBoxes(b []byte, name string) (n int) {
	_ = eachBox(b, func(is string, _ []byte) error {
		if name == "" || is == name {
			n++
		}
		return nil
	})
	return n
}

// entry is how many bytes a sample has in the trun.
func (s *samples) entry() (n int) {
	for _, flag := range [...]uint32{inTrun[fieldDuration], inTrun[fieldSize], inTrun[fieldFlags], trunCompOffset} {
		if s.flags&flag != 0 {
			n += 4
		}
	}
	return n
}

// measure sums the durations; false where a field is nowhere.
func (s *samples) measure() bool {
	for i, flag := range inTrun {
		if s.flags&flag == 0 && !s.has[i] {
			return false
		}
	}
	if s.flags&inTrun[fieldDuration] == 0 {
		s.length = int64(s.count) * int64(s.defaults[fieldDuration])
		return true
	}
	for b := s.entries; len(b) > 0; b = b[s.entry():] {
		s.length += int64(binary.BigEndian.Uint32(b))
	}
	return true
}

// bytes is how long the samples are together.
func (s *samples) bytes() (n int64) {
	for _, x := range s.expand(nil) {
		n += int64(x[fieldSize])
	}
	return n
}

// merge is one moof for all fragments of a piece, with the head of its mdat, and how many zeros the mdat has behind the samples.
// false: they cannot be one, or it would be longer than the piece is.
func merge(tapes []*tape, p *piece, number uint32) (head []byte, zeros int64, ok bool) {
	// FFmpeg loses its place in a file where it learns of several runs of a track at once, so one it is wherever there is room.
	if head, zeros, ok = mergeRuns(tapes, p, number, oneRun); ok {
		return head, zeros, true
	}
	return mergeRuns(tapes, p, number, severalRuns)
}

func mergeRuns(tapes []*tape, p *piece, number uint32, lay func([]samples, *share) ([]byte, []int, bool)) (head []byte, zeros int64, ok bool) {
	moof := appendFull(nil, "mfhd", 0, 0, binary.BigEndian.AppendUint32(nil, number))
	data := int64(0)
	var offsets []int // of data offsets in moof
	var bytes []int64 // of the samples of each
	for i, t := range tapes {
		runs, ok := parseAll(t.fragments)
		if !ok {
			return nil, 0, false
		}
		traf, at, ok := lay(runs, &p.shares[i])
		if !ok {
			return nil, 0, false
		}
		for _, offset := range at {
			offsets = append(offsets, len(moof)+boxHead+offset)
			bytes = append(bytes, 0)
		}
		for j, f := range t.fragments {
			bytes[len(bytes)-len(at)+min(j, len(at)-1)] += f.data
			data += f.data
		}
		moof = appendBox(moof, "traf", traf)
	}
	moof = appendBox(nil, "moof", moof)
	at := int64(len(moof) + boxHead)
	zeros = p.bytes() - at - data
	if zeros < 0 || data+zeros+boxHead > 1<<32-1 {
		return nil, 0, false
	}
	for i, offset := range offsets {
		binary.BigEndian.PutUint32(moof[boxHead+offset:], uint32(at))
		at += bytes[i]
	}
	head = binary.BigEndian.AppendUint32(moof, uint32(boxHead+data+zeros))
	return append(head, "mdat"...), zeros, true
}

// parseAll reads the fragments of a segment; false where they do not follow each other.
func parseAll(all []fragment) (runs []samples, ok bool) {
	runs = make([]samples, len(all))
	for i := range all {
		if runs[i], ok = all[i].parse(); !ok || i > 0 && runs[i].start != runs[i-1].start+runs[i-1].length {
			return nil, false
		}
	}
	return runs, len(runs) > 0
}

// trafHead is tfhd and tfdt. What has no default, has its field for each sample.
func trafHead(s *share, defaults [fields]uint32, has [fields]bool) []byte {
	tfhd := binary.BigEndian.AppendUint32(nil, s.track)
	flags := uint32(tfhdDefaultsToMoof)
	for i := range defaults {
		if has[i] {
			flags |= inTfhd[i]
			tfhd = binary.BigEndian.AppendUint32(tfhd, defaults[i])
		}
	}
	traf := appendFull(nil, "tfhd", 0, flags, tfhd)
	return appendFull(traf, "tfdt", 1, 0, binary.BigEndian.AppendUint64(nil, uint64(s.start)))
}

// severalRuns is the body of a traf with a run a fragment, and where in it their data offsets are.
func severalRuns(runs []samples, s *share) (traf []byte, offsets []int, ok bool) {
	defaults, has := common(runs)
	traf = trafHead(s, defaults, has)
	for i := range runs {
		offsets = append(offsets, len(traf)+boxHead+4+4)
		traf = runs[i].append(traf, defaults)
	}
	return traf, offsets, true
}

// sample is one with all its fields.
type sample [fields + 1]uint32

const fieldCompOffset = fields

// oneRun is the body of a traf with one run of all samples.
func oneRun(runs []samples, s *share) (traf []byte, offsets []int, ok bool) {
	var all []sample
	for i := range runs {
		if runs[i].version != runs[0].version {
			return nil, nil, false
		}
		all = runs[i].expand(all)
	}
	flags := uint32(trunDataOffset)
	var defaults [fields]uint32
	var has [fields]bool
	for i, flag := range inTrun {
		rest := all[min(1, len(all)-1):]
		defaults[i] = rest[0][i]
		same := !slices.ContainsFunc(rest, func(x sample) bool { return x[i] != defaults[i] })
		switch first := all[0][i] == defaults[i]; {
		case same && first:
			has[i] = true
		case same && i == fieldFlags:
			has[i] = true
			flags |= trunFirstFlags
		default:
			flags |= flag
		}
	}
	if slices.ContainsFunc(all, func(x sample) bool { return x[fieldCompOffset] != 0 }) {
		flags |= trunCompOffset
	}
	traf = trafHead(s, defaults, has)
	offsets = []int{len(traf) + boxHead + 4 + 4}
	body := binary.BigEndian.AppendUint32(nil, uint32(len(all)))
	body = binary.BigEndian.AppendUint32(body, 0)
	if flags&trunFirstFlags != 0 {
		body = binary.BigEndian.AppendUint32(body, all[0][fieldFlags])
	}
	for i := range all {
		for j, flag := range [...]uint32{inTrun[fieldDuration], inTrun[fieldSize], inTrun[fieldFlags], trunCompOffset} {
			if flags&flag != 0 {
				body = binary.BigEndian.AppendUint32(body, all[i][j])
			}
		}
	}
	return appendFull(traf, "trun", runs[0].version, flags, body), offsets, true
}

// expand appends the samples with all their fields.
func (s *samples) expand(all []sample) []sample {
	entries := s.entries
	for n := range s.count {
		var x sample
		for i, flag := range [...]uint32{inTrun[fieldDuration], inTrun[fieldSize], inTrun[fieldFlags], trunCompOffset} {
			switch {
			case s.flags&flag != 0:
				x[i], entries = binary.BigEndian.Uint32(entries), entries[4:]
			case i == fieldFlags && n == 0 && s.flags&trunFirstFlags != 0:
				x[i] = s.first
			case i < fields:
				x[i] = s.defaults[i]
			}
		}
		all = append(all, x)
	}
	return all
}

// common are the defaults that spare most samples a field of their own.
func common(runs []samples) (defaults [fields]uint32, has [fields]bool) {
	for i := range defaults {
		votes := make(map[uint32]int)
		for j := range runs {
			if r := &runs[j]; r.has[i] && r.flags&inTrun[i] == 0 {
				v := r.defaults[i]
				if votes[v] += r.count; !has[i] || votes[v] > votes[defaults[i]] {
					defaults[i], has[i] = v, true
				}
			}
		}
	}
	return defaults, has
}

// append writes the run: a field for which its default is not the common one, for each sample. Its data offset is left open.
func (s *samples) append(b []byte, defaults [fields]uint32) []byte {
	flags := s.flags
	for i, flag := range inTrun {
		if flags&flag == 0 && s.defaults[i] != defaults[i] {
			flags |= flag
		}
	}
	if flags&inTrun[fieldFlags] != 0 {
		flags &^= trunFirstFlags
	}
	body := binary.BigEndian.AppendUint32(nil, uint32(s.count))
	body = binary.BigEndian.AppendUint32(body, 0)
	if flags&trunFirstFlags != 0 {
		body = binary.BigEndian.AppendUint32(body, s.first)
	}
	entries := s.entries
	for n := range s.count {
		for i, flag := range inTrun {
			switch {
			case s.flags&flag != 0:
				body, entries = append(body, entries[:4]...), entries[4:]
			case flags&flag == 0:
			case i == fieldFlags && n == 0 && s.flags&trunFirstFlags != 0:
				body = binary.BigEndian.AppendUint32(body, s.first)
			default:
				body = binary.BigEndian.AppendUint32(body, s.defaults[i])
			}
		}
		if flags&trunCompOffset != 0 {
			body, entries = append(body, entries[:4]...), entries[4:]
		}
	}
	return appendFull(b, "trun", s.version, flags, body)
}

func appendFull(b []byte, name string, version uint8, flags uint32, body []byte) []byte {
	return appendBox(b, name, append(binary.BigEndian.AppendUint32(nil, uint32(version)<<24|flags), body...))
}
