package replay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"mediad/packager/playlist"
)

// maxMoof bounds what is kept of a fragment: its moof has some bytes a sample.
const maxMoof = 1 << 20

// Copy writes length bytes of the file from an offset on. open reads a segment, from its start. Samples go from there to dst by
// io.CopyN, so that dst's ReadFrom has the source; the heads of one segment are what is held in memory, and of what can only be
// read forwards, a segment. An error of dst comes back as it is.
func (d *Download) Copy(dst io.Writer, from, length int64, open func(playlist.Media) (io.ReadCloser, error)) error {
	w := &window{dst: dst, skip: from, left: length}
	if from < int64(len(d.head)) {
		if err := w.write(d.head); err != nil {
			return err
		}
	} else {
		w.skip -= int64(len(d.head))
	}
	i := d.piece(from)
	if i > 0 {
		w.skip = from - d.pieces[i-1].end
	}
	for ; i < len(d.pieces) && w.left > 0; i++ {
		if err := d.copyPiece(w, i, open); err != nil {
			return err
		}
	}
	return nil
}

// maxBuffer is how much of a segment that can only be read forwards is held in memory; longer ones are read twice.
const maxBuffer = 8 << 20

func (d *Download) copyPiece(w *window, i int, open func(playlist.Media) (io.ReadCloser, error)) error {
	p := &d.pieces[i]
	tapes := make([]*tape, len(p.shares))
	defer func() {
		for _, t := range tapes {
			t.close()
		}
	}()
	for n := range p.shares {
		s := &p.shares[n]
		tapes[n] = &tape{media: s.of.media(s.segment), open: open}
		if err := tapes[n].load(); err != nil {
			return err
		}
	}
	number := uint32(i)<<8 + 1
	if head, zeros, ok := merge(tapes, p, number); ok {
		return w.merged(head, tapes, zeros)
	}
	for n := range p.shares {
		f := fragments{share: &p.shares[n], number: number}
		if err := w.fragments(tapes[n], &f); err != nil {
			return err
		}
		number = f.number
	}
	return nil
}

// tape is a segment that is read more than once.
type tape struct {
	media playlist.Media
	open  func(playlist.Media) (io.ReadCloser, error)
	from  io.Closer // nil: nothing is open
	io.Reader
	fragments []fragment // nil: there is something else in it, too
}

// load finds the fragments.
func (t *tape) load() error {
	if err := t.rewind(); err != nil {
		return err
	}
	if _, ok := t.Reader.(io.Seeker); !ok && t.media.Size <= maxBuffer {
		b := make([]byte, t.media.Size)
		if _, err := io.ReadFull(t.Reader, b); err != nil {
			return cutShort(err)
		}
		t.Reader = bytes.NewReader(b)
	}
	var err error
	var read int64
	if t.fragments, read, err = scan(t.Reader, t.media.Size); err != nil {
		return err
	}
	if s, ok := t.Reader.(io.Seeker); ok {
		_, err = s.Seek(-read, io.SeekCurrent)
		return err
	}
	return t.rewind()
}

// rewind opens the segment, again if need be.
func (t *tape) rewind() error {
	t.close()
	r, err := t.open(t.media)
	if err != nil {
		return err
	}
	t.Reader, t.from = r, r
	return nil
}

// close closes what is open. Reading it is over; an error of closing a file that was read tells nobody anything.
func (t *tape) close() {
	if t != nil && t.from != nil {
		_ = t.from.Close()
		t.from = nil
	}
}

// merged passes on segments whose fragments became one.
func (w *window) merged(head []byte, tapes []*tape, zeros int64) error {
	if err := w.write(head); err != nil {
		return err
	}
	for _, t := range tapes {
		at := int64(0)
		for i := range t.fragments {
			f := &t.fragments[i]
			if w.left == 0 {
				return nil
			}
			if err := discard(t.Reader, f.at-at); err != nil {
				return cutShort(err)
			}
			if err := w.copy(t.Reader, f.data); err != nil {
				return err
			}
			at = f.at + f.data
		}
	}
	return w.write(make([]byte, zeros))
}

// fragments passes on a segment as it is but for numbers and times.
func (w *window) fragments(t *tape, f *fragments) error {
	r := t.Reader
	var head [boxHead]byte
	for left := t.media.Size; left > 0 && w.left > 0; {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return cutShort(err)
		}
		size := int64(binary.BigEndian.Uint32(head[:]))
		switch name := string(head[4:]); {
		case size < boxHead || size > left:
			return fmt.Errorf("%w: %q of %d bytes, where %d are left of the segment", ErrMedia, name, size, left)
		case name == "moof" && size > maxMoof:
			return fmt.Errorf("%w: moof of %d bytes", ErrMedia, size)
		case name == "moof":
			moof := make([]byte, size)
			copy(moof, head[:])
			if _, err := io.ReadFull(r, moof[boxHead:]); err != nil {
				return cutShort(err)
			}
			if err := f.move(moof); err != nil {
				return err
			}
			if err := w.write(moof); err != nil {
				return err
			}
		default:
			if err := w.write(head[:]); err != nil {
				return err
			}
			if err := w.copy(r, size-boxHead); err != nil {
				return err
			}
		}
		left -= size
	}
	return nil
}

// cutShort names the end of a segment that should be longer.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// fragments are those of a segment, moved into the file.
type fragments struct {
	*share
	number uint32 // of the next fragment: they rise through the file, whatever part of it is sent
	some   bool
	shift  int64
}

// move rewrites a moof: which track and fragment it is, and when.
func (f *fragments) move(moof []byte) error {
	mfhd, err := find(moof, "moof", "mfhd")
	if err != nil {
		return err
	}
	_, _, body, err := full(mfhd, 4)
	if err != nil {
		return err
	}
	binary.BigEndian.PutUint32(body, f.number)
	if f.number&0xff != 0xff { // segments with more fragments repeat the last number
		f.number++
	}
	return eachBox(moof[boxHead:], func(name string, traf []byte) error {
		if name != "traf" {
			return nil
		}
		tfhd, err := find(traf, "traf", "tfhd")
		if err != nil {
			return err
		}
		if err := putTrackID(tfhd, f.track); err != nil {
			return err
		}
		tfdt, err := find(traf, "traf", "tfdt")
		if err != nil {
			return err
		}
		at, err := decodeTime(tfdt)
		if err != nil {
			return err
		}
		if !f.some {
			f.some, f.shift = true, f.start-at
		}
		return putDecodeTime(tfdt, at+f.shift)
	})
}

// window passes on what lies between two offsets of what it is given.
type window struct {
	dst        io.Writer
	skip, left int64
}

func (w *window) write(p []byte) error {
	n := min(w.skip, int64(len(p)))
	w.skip -= n
	if p = p[n:]; int64(len(p)) > w.left {
		p = p[:w.left]
	}
	if len(p) == 0 {
		return nil
	}
	n2, err := w.dst.Write(p)
	w.left -= int64(n2)
	return err
}

// copy passes on n bytes of r.
func (w *window) copy(r io.Reader, n int64) error {
	if skip := min(w.skip, n); skip > 0 {
		if err := discard(r, skip); err != nil {
			return cutShort(err)
		}
		w.skip -= skip
		n -= skip
	}
	if n = min(n, w.left); n == 0 {
		return nil
	}
	sent, err := io.CopyN(w.dst, r, n)
	w.left -= sent
	return cutShort(err)
}

// discard goes n bytes on, in a file without reading them.
func discard(r io.Reader, n int64) error {
	if s, ok := r.(io.Seeker); ok {
		_, err := s.Seek(n, io.SeekCurrent)
		return err
	}
	_, err := io.CopyN(io.Discard, r, n)
	return err
}
