package packager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"mediad/store/blob"
)

// docs/formats/journal.md draws the files.

const (
	spillFolder = "rows/"
	// spillFile is how large a file gets, so that the disk has its space back in pieces.
	spillFile = 16 << 20
	// maxSpill bounds all files. A row takes some 400 bytes: 20 streams of three renditions for a day.
	maxSpill = 1 << 30
	// maxUnusable is how often a file is tried that cannot be read or deleted, once a second: a disk may come back, but one bad block is not
	// to keep all rows behind it waiting for ever.
	maxUnusable = 1800
	// spillRead holds a record of any size.
	spillRead = maxRecord + frameHead
)

const (
	recSpilledRow   recordType = 'W'
	recSpilledTrack recordType = 'U'
)

var errSpillFull = errors.New("packager: too many rows wait on the disk")

// rowSpill keeps rows on the local disk that the sink has not taken for a while: they outlive the process, the journal of their session and
// any number of them. First in, first out. It belongs to who holds rowBatch.flushing, but for some.
type rowSpill struct {
	store blob.Store
	log   *slog.Logger
	files []spilled // oldest first
	out   blob.AppendFile
	next  int
	size  int64
	buf   []byte
	any   atomic.Bool
}

type spilled struct {
	key        string
	size, read int64
	unusable   int // how often it could not be read or deleted, in a row
}

// some tells whether rows wait on the disk, of whatever session.
func (p *rowSpill) some() bool { return p != nil && p.any.Load() }

// recover finds what a former process left.
func (p *rowSpill) recover(ctx context.Context) error {
	found := make(map[int]spilled)
	err := p.store.List(ctx, spillFolder, func(i blob.Info) error {
		if n, err := strconv.Atoi(strings.TrimPrefix(i.Key, spillFolder)); err == nil && n >= 0 {
			found[n] = spilled{key: i.Key, size: i.Size}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list rows that wait: %w", err)
	}
	numbers := make([]int, 0, len(found))
	for n := range found {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		p.files, p.size, p.next = append(p.files, found[n]), p.size+found[n].size, n+1
	}
	p.any.Store(len(p.files) > 0)
	return nil
}

// add appends rows and, in front of them, tracks: all or nothing.
func (p *rowSpill) add(tracks []TrackRow, rows []queuedRow) error {
	b := p.buf[:0]
	for i := range tracks {
		b = appendRecord(b, recSpilledTrack, encodeJSON(&tracks[i]))
	}
	for i := range rows {
		b = appendRecord(b, recSpilledRow, encodeJSON(&rows[i].SegmentRow))
	}
	p.buf = b
	if p.size+int64(len(b)) > maxSpill {
		return errSpillFull
	}
	if p.out == nil {
		if err := p.begin(); err != nil {
			return err
		}
	}
	f := &p.files[len(p.files)-1]
	_, err := p.out.Write(b)
	if err == nil {
		err = p.out.Sync()
	}
	if err != nil {
		p.close() // what came of it is torn, or comes twice: both is borne
		p.any.Store(true)
		return err
	}
	f.size += int64(len(b))
	p.size += int64(len(b))
	p.any.Store(true)
	if f.size >= spillFile {
		p.close()
	}
	return nil
}

func (p *rowSpill) begin() error {
	appender, ok := p.store.(blob.Appender)
	if !ok {
		return errors.ErrUnsupported
	}
	key := spillFolder + strconv.Itoa(p.next)
	out, err := appender.Append(context.Background(), key, 0) // a local file; there is nobody to cancel it
	if err != nil {
		return err
	}
	p.next++
	p.out, p.files = out, append(p.files, spilled{key: key})
	return nil
}

func (p *rowSpill) close() {
	if p.out == nil {
		return
	}
	if err := p.out.Close(); err != nil {
		p.log.Warn("close rows that wait", slog.Any("error", err))
	}
	p.out = nil
}

// drain gives what waits to fn, in order and in pieces, until fn fails or nothing is left.
func (p *rowSpill) drain(fn func([]TrackRow, []SegmentRow) error) error {
	for len(p.files) > 0 {
		f := &p.files[0]
		tracks, rows, n, err := p.piece(f)
		if err == nil && n == 0 { // it is at its end, or damaged from here on
			if err = p.store.Delete(context.Background(), f.key); err == nil {
				p.forgetFirst()
				continue
			}
		}
		if err != nil {
			if f.unusable++; f.unusable < maxUnusable {
				return err
			}
			p.log.Error("rows that wait are left to the next start", slog.String("key", f.key), slog.Any("error", err))
			p.forgetFirst()
			continue
		}
		f.unusable = 0
		if err := fn(tracks, rows); err != nil {
			return err
		}
		f.read += n
	}
	p.any.Store(false)
	return nil
}

// forgetFirst lets go of the oldest file.
func (p *rowSpill) forgetFirst() {
	if len(p.files) == 1 {
		p.close()
	}
	p.size -= p.files[0].size
	p.files = p.files[1:]
}

// piece reads the next rows of a file, and how many bytes they take.
func (p *rowSpill) piece(f *spilled) (tracks []TrackRow, rows []SegmentRow, n int64, err error) {
	r, err := p.store.Open(context.Background(), f.key, f.read, spillRead)
	if errors.Is(err, blob.ErrNotExist) {
		return nil, nil, 0, nil
	}
	if err != nil {
		return nil, nil, 0, fmt.Errorf("rows that wait: %w", err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, nil, 0, fmt.Errorf("rows that wait: %w", err)
	}
	for len(rows) < rowsAtOnce {
		t, body, rest, ok := nextRecord(b)
		if !ok {
			break
		}
		switch t {
		case recSpilledTrack:
			var one TrackRow
			if err = json.Unmarshal(body, &one); err == nil {
				tracks = append(tracks, one)
			}
		case recSpilledRow:
			var one SegmentRow
			if err = json.Unmarshal(body, &one); err == nil {
				rows = append(rows, one)
			}
		default:
			err = errRecord
		}
		if err != nil { // its sum is right, so another version wrote it
			p.log.Error("a row that waited cannot be read", slog.String("object", f.key), slog.Any("error", err))
		}
		n += int64(len(b) - len(rest))
		b = rest
	}
	return tracks, rows, n, nil
}
