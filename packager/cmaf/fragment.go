package cmaf

import "mediad/media"

// Sample is one access unit of a fragment. Duration and CompOffset (PTS − DTS, may be negative) are in the
// track's timescale. Audio samples are all random access, whatever Sync says.
type Sample struct {
	Data       []byte
	Duration   uint32
	CompOffset int32
	Sync       bool
	Disposable bool // no other sample refers to this one
}

// Flags of tfhd and trun (14496-12, 8.8.7 and 8.8.8).
const (
	tfhdDefaultDuration   = 0x000008
	tfhdDefaultSize       = 0x000010
	tfhdDefaultFlags      = 0x000020
	tfhdDefaultBaseIsMoof = 0x020000

	trunDataOffset       = 0x000001
	trunFirstSampleFlags = 0x000004
	trunDuration         = 0x000100
	trunSize             = 0x000200
	trunFlags            = 0x000400
	trunCompOffset       = 0x000800
)

// Flags of a sample (14496-12, 8.8.3.1): what it depends on, whether others depend on it, whether it is a sync
// sample. Browsers look at the non-sync bit, AVPlayer at the first field as well.
const (
	sampleSync       = 2 << 24               // depends on no other
	sampleNonSync    = 1<<24 | 1<<16         // depends on others
	sampleDisposable = sampleNonSync | 2<<22 // and none on it
)

func (s *Sample) flags(kind media.Kind) uint32 {
	switch {
	case kind == media.Audio || s.Sync:
		return sampleSync
	case s.Disposable:
		return sampleDisposable
	default:
		return sampleNonSync
	}
}

// layout says which fields of a fragment vary from sample to sample and so stand in trun. What all samples share
// stands once, in tfhd.
type layout struct {
	tfhd, trun uint32
	perSample  int // bytes of one trun entry
	data       int // bytes of mdat's body
}

func layoutOf(kind media.Kind, s []Sample) layout {
	first := &s[0]
	var durations, sizes, comps, lateFlags, firstFlags bool
	rest := first.flags(kind) // what all samples from the second on share
	if len(s) > 1 {
		rest = s[1].flags(kind)
		firstFlags = first.flags(kind) != rest
	}
	data := 0
	for i := range s {
		x := &s[i]
		data += len(x.Data)
		durations = durations || x.Duration != first.Duration
		sizes = sizes || len(x.Data) != len(first.Data)
		comps = comps || x.CompOffset != 0
		lateFlags = lateFlags || i > 0 && x.flags(kind) != rest
	}
	l := layout{tfhd: tfhdDefaultBaseIsMoof, trun: trunDataOffset, data: data}
	vary := func(varies bool, inTfhd, inTrun uint32) {
		if varies {
			l.trun |= inTrun
			l.perSample += 4
		} else {
			l.tfhd |= inTfhd
		}
	}
	vary(durations, tfhdDefaultDuration, trunDuration)
	vary(sizes, tfhdDefaultSize, trunSize)
	vary(lateFlags, tfhdDefaultFlags, trunFlags)
	if firstFlags && !lateFlags {
		l.trun |= trunFirstSampleFlags
	}
	vary(comps, 0, trunCompOffset)
	return l
}

// The sizes of what does not vary: mfhd 16, tfdt 20, and the heads of moof, traf, tfhd, trun and mdat.
const (
	fixedMoof = 8 + 16 + 8 + 16 + 20 + 20 // moof, mfhd, traf, tfhd without defaults, tfdt, trun up to the data offset
	mdatHead  = 8
)

func (l layout) moofSize(samples int) int {
	n := fixedMoof + samples*l.perSample
	for _, f := range [...]uint32{tfhdDefaultDuration, tfhdDefaultSize, tfhdDefaultFlags} {
		if l.tfhd&f != 0 {
			n += 4
		}
	}
	if l.trun&trunFirstSampleFlags != 0 {
		n += 4
	}
	return n
}

// FragmentSize is how many bytes AppendFragment adds for these samples; for audio samples that are not all marked
// Sync, it is the most that it can add.
func FragmentSize(s []Sample) int {
	if len(s) == 0 {
		return 0
	}
	l := layoutOf(media.Video, s)
	return l.moofSize(len(s)) + mdatHead + l.data
}

// AppendFragment appends one fragment to dst and returns the longer slice. It allocates only if dst lacks the
// capacity (see FragmentSize). seq counts the fragments of the file from 1; baseDecodeTime is that of the first
// sample, in the track's timescale. Without samples dst comes back as it was. The samples' bytes together must stay
// under 4 GiB.
func AppendFragment(dst []byte, seq uint32, baseDecodeTime uint64, kind media.Kind, s []Sample) []byte {
	if len(s) == 0 {
		return dst
	}
	l := layoutOf(kind, s)
	moofSize := l.moofSize(len(s))

	b := box(dst)
	moof := b.begin("moof")

	mfhd := b.beginFull("mfhd", 0, 0)
	b.u32(seq)
	b.end(mfhd)

	traf := b.begin("traf")
	appendTfhd(&b, l, kind, s)
	tfdt := b.beginFull("tfdt", 1, 0)
	b.u64(baseDecodeTime)
	b.end(tfdt)
	appendTrun(&b, l, kind, s, uint32(moofSize+mdatHead))
	b.end(traf)

	b.end(moof)

	b.u32(uint32(mdatHead + l.data))
	b.text("mdat")
	for i := range s {
		b.bytes(s[i].Data)
	}
	return b
}

func appendTfhd(b *box, l layout, kind media.Kind, s []Sample) {
	at := b.beginFull("tfhd", 0, l.tfhd)
	b.u32(trackID)
	if l.tfhd&tfhdDefaultDuration != 0 {
		b.u32(s[0].Duration)
	}
	if l.tfhd&tfhdDefaultSize != 0 {
		b.u32(uint32(len(s[0].Data)))
	}
	if l.tfhd&tfhdDefaultFlags != 0 {
		b.u32(s[len(s)-1].flags(kind)) // the first may differ: trun says so
	}
	b.end(at)
}

func appendTrun(b *box, l layout, kind media.Kind, s []Sample, dataOffset uint32) {
	at := b.beginFull("trun", 1, l.trun)
	b.words(uint32(len(s)), dataOffset)
	if l.trun&trunFirstSampleFlags != 0 {
		b.u32(s[0].flags(kind))
	}
	if l.perSample > 0 {
		for i := range s {
			x := &s[i]
			if l.trun&trunDuration != 0 {
				b.u32(x.Duration)
			}
			if l.trun&trunSize != 0 {
				b.u32(uint32(len(x.Data)))
			}
			if l.trun&trunFlags != 0 {
				b.u32(x.flags(kind))
			}
			if l.trun&trunCompOffset != 0 {
				b.u32(uint32(x.CompOffset))
			}
		}
	}
	b.end(at)
}
