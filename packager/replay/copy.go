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
	s := d.pieces[i].segment
	m := playlist.Media{Key: s.Key, Offset: s.Offset, Size: s.Bytes}
	opened, err := open(m)
	if err != nil {
		return err
	}
	// Reading it is over; an error of closing a file that was read tells nobody anything.
	defer func() { _ = opened.Close() }()
	var r io.Reader = opened
	again := func() (io.Reader, error) { // the segment from its start
		if seeker, ok := r.(io.Seeker); ok {
			_, err := seeker.Seek(-s.Bytes, io.SeekCurrent)
			return r, err
		}
		second, err := open(m)
		if err != nil {
			return nil, err
		}
		_ = opened.Close()
		opened = second
		return second, nil
	}
	if _, ok := r.(io.Seeker); !ok && s.Bytes <= maxBuffer {
		b := make([]byte, s.Bytes)
		if _, err := io.ReadFull(opened, b); err != nil {
			return cutShort(err)
		}
		r = bytes.NewReader(b)
	}
	all, err := scan(r, s.Bytes)
	if err != nil {
		return err
	}
	number := uint32(i)<<8 + 1
	if all != nil {
		if r, err = again(); err != nil {
			return err
		}
		if head, zeros, ok := merge(all, &d.pieces[i], number); ok {
			return w.merged(r, head, all, zeros)
		}
		return d.copyFragments(w, r, i, number)
	}
	// Something else is in it, where scan stopped: only from anew can it be read from the start.
	fresh, err := open(m)
	if err != nil {
		return err
	}
	defer func() { _ = fresh.Close() }()
	return d.copyFragments(w, fresh, i, number)
}

// merged passes on a segment whose fragments became one.
func (w *window) merged(r io.Reader, head []byte, all []fragment, zeros int64) error {
	if err := w.write(head); err != nil {
		return err
	}
	at := int64(0)
	for i := range all {
		f := &all[i]
		if w.left == 0 {
			return nil
		}
		if err := discard(r, f.at-at); err != nil {
			return cutShort(err)
		}
		if err := w.copy(r, f.data); err != nil {
			return err
		}
		at = f.at + f.data
	}
	return w.write(make([]byte, zeros))
}

// copyFragments passes on a segment as it is but for numbers and times.
func (d *Download) copyFragments(w *window, r io.Reader, i int, number uint32) error {
	s := d.pieces[i].segment
	f := fragments{piece: &d.pieces[i], number: number}
	var head [boxHead]byte
	for left := s.Bytes; left > 0 && w.left > 0; {
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

// fragments are those of a piece, moved into the file.
type fragments struct {
	piece  *piece
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
	if f.number&0xff != 0xff { // a segment with more fragments repeats the last number
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
		if err := putTrackID(tfhd, f.piece.track); err != nil {
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
			f.some, f.shift = true, f.piece.start-at
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
