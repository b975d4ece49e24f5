package cmaf

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed says that bytes are not fragments as AppendFragment writes them.
var ErrMalformed = errors.New("cmaf: malformed")

// Fragment is one fragment, taken apart.
type Fragment struct {
	BaseDecodeTime uint64 // of the first sample, in the track's timescale
	Samples        []Sample
}

// ReadFragments takes a segment of one track apart that AppendFragment wrote: the samples' bytes are pieces of b. Whatever else it finds
// is ErrMalformed, wrapped.
func ReadFragments(b []byte) ([]Fragment, error) {
	var out []Fragment
	var moof []byte
	for len(b) > 0 {
		name, body, rest, err := nextBox(b)
		if err != nil {
			return nil, err
		}
		switch {
		case name == "moof" && moof == nil:
			moof = b[:len(b)-len(rest)]
		case name == "mdat" && moof != nil:
			f, err := readFragment(moof, body)
			if err != nil {
				return nil, err
			}
			out = append(out, f)
			moof = nil
		default:
			return nil, fmt.Errorf("%w: %q", ErrMalformed, name)
		}
		b = rest
	}
	if moof != nil {
		return nil, fmt.Errorf("%w: no mdat", ErrMalformed)
	}
	return out, nil
}

const boxHead = 8

func nextBox(b []byte) (name string, body, rest []byte, err error) {
	if len(b) < boxHead {
		return "", nil, nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(b))
	}
	size := binary.BigEndian.Uint32(b)
	if size < boxHead || uint64(size) > uint64(len(b)) {
		return "", nil, nil, fmt.Errorf("%w: %q of %d bytes", ErrMalformed, b[4:8], size)
	}
	return string(b[4:8]), b[boxHead:size], b[size:], nil
}

// reader reads big-endian words; behind the end all are 0 and short is set.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) u32() uint32 {
	if len(r.b) < 4 {
		r.short, r.b = true, nil
		return 0
	}
	v := binary.BigEndian.Uint32(r.b)
	r.b = r.b[4:]
	return v
}

// readFragment reads a fragment by its whole moof and the body of its mdat.
func readFragment(moof, data []byte) (f Fragment, err error) {
	boxes := make(map[string]reader)
	var walk func(b []byte) error
	walk = func(b []byte) error {
		for len(b) > 0 {
			name, body, rest, err := nextBox(b)
			if err != nil {
				return err
			}
			if _, twice := boxes[name]; twice {
				return fmt.Errorf("%w: a second %s", ErrMalformed, name)
			}
			boxes[name] = reader{b: body}
			if name == "traf" {
				if err := walk(body); err != nil {
					return err
				}
			}
			b = rest
		}
		return nil
	}
	if err := walk(moof[boxHead:]); err != nil {
		return f, err
	}
	tfhd, tfdt, trun := boxes["tfhd"], boxes["tfdt"], boxes["trun"]
	if v := tfdt.u32(); v != 1<<24 {
		return f, fmt.Errorf("%w: tfdt of version %d", ErrMalformed, v>>24)
	}
	f.BaseDecodeTime = uint64(tfdt.u32())<<32 | uint64(tfdt.u32())

	defaults := tfhd.u32()
	tfhd.u32() // the track
	var duration, size, flags uint32
	if defaults&tfhdDefaultDuration != 0 {
		duration = tfhd.u32()
	}
	if defaults&tfhdDefaultSize != 0 {
		size = tfhd.u32()
	}
	if defaults&tfhdDefaultFlags != 0 {
		flags = tfhd.u32()
	}
	const known = tfhdDefaultBaseIsMoof | tfhdDefaultDuration | tfhdDefaultSize | tfhdDefaultFlags
	fields, count, offset := trun.u32()&0xffffff, trun.u32(), trun.u32()
	switch {
	case tfhd.short || tfdt.short || trun.short || defaults&^known != 0 || fields&trunDataOffset == 0:
		return f, fmt.Errorf("%w: fields of a fragment", ErrMalformed)
	case uint64(offset) != uint64(len(moof)+boxHead):
		return f, fmt.Errorf("%w: samples are not behind their moof", ErrMalformed)
	case uint64(count) > uint64(len(data)):
		return f, fmt.Errorf("%w: %d samples in %d bytes", ErrMalformed, count, len(data))
	}
	first := flags
	if fields&trunFirstSampleFlags != 0 {
		first = trun.u32()
	}
	f.Samples = make([]Sample, count)
	for i := range f.Samples {
		d, n, of, comp := duration, size, flags, uint32(0)
		if i == 0 {
			of = first
		}
		for _, field := range [...]struct {
			flag uint32
			to   *uint32
		}{{trunDuration, &d}, {trunSize, &n}, {trunFlags, &of}, {trunCompOffset, &comp}} {
			if fields&field.flag != 0 {
				*field.to = trun.u32()
			}
		}
		if trun.short || uint64(n) > uint64(len(data)) {
			return f, fmt.Errorf("%w: sample %d of %d bytes, %d are left", ErrMalformed, i, n, len(data))
		}
		f.Samples[i] = Sample{
			Data: data[:n:n], Duration: d, CompOffset: int32(comp), Sync: of&(1<<16) == 0, Disposable: of == sampleDisposable,
		}
		data = data[n:]
	}
	return f, nil
}
