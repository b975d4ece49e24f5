package packager

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"sync"
	"time"

	"mediad/live"
	"mediad/media"
	"mediad/packager/cut"
	"mediad/packager/playlist"
	"mediad/store/blob"
)

// docs/formats/journal.md draws the layout.

// recordType tells what a record is about.
type recordType byte

const (
	recHeader    recordType = 'H'
	recNumbers   recordType = 'N'
	recSession   recordType = 'S'
	recConstants recordType = 'C'
	recPlan      recordType = 'L'
	recEpoch     recordType = 'E'
	recRung      recordType = 'K'
	recOpen      recordType = 'O'
	recPart      recordType = 'P'
	recSegment   recordType = 'D'
	recTrim      recordType = 'T'
	recAway      recordType = 'A'
	recRows      recordType = 'R'
	recEnd       recordType = 'Z'
)

const (
	frameHead = 8       // length and checksum
	maxRecord = 1 << 20 // longer ones are damage
	// slack is how much a journal grows beyond twice its size after the last rewrite before it is written anew.
	slack = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendRecord frames one record.
func appendRecord(b []byte, t recordType, body []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, byte(t))
	b = append(b, body...)
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-frameHead))
	binary.BigEndian.PutUint32(b[at+4:], crc32.Checksum(b[at+frameHead:], castagnoli))
	return b
}

// nextRecord takes the first record off b. ok is false at the end, and where the rest is torn or damaged.
func nextRecord(b []byte) (t recordType, body, rest []byte, ok bool) {
	if len(b) < frameHead+1 {
		return 0, nil, nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if n < 1 || n > maxRecord || int(n) > len(b)-frameHead {
		return 0, nil, nil, false
	}
	framed := b[frameHead : frameHead+n]
	if crc32.Checksum(framed, castagnoli) != binary.BigEndian.Uint32(b[4:]) {
		return 0, nil, nil, false
	}
	return recordType(framed[0]), framed[1:], b[frameHead+n:], true
}

// torn tells whether what is left of a journal is nothing, or the beginning of a record that a crash cut short. Anything
// else is damage: whole records may stand behind it.
func torn(b []byte) bool {
	if len(b) < frameHead+1 {
		return true
	}
	n := binary.BigEndian.Uint32(b)
	return n >= 1 && n <= maxRecord && int(n) > len(b)-frameHead
}

// journal is a stream's. The session's goroutine writes it; the janitor syncs it, and the one for rows notes how far they are.
type journal struct {
	owner  *Streams
	stream string

	mu       sync.Mutex // guards what follows; held over a rewrite, which only the stream itself waits for, not over a sync
	n        int        // of the file
	attempt  int        // counts rewrites, whether they came off or not
	buf      []byte
	limit    int64 // size at which it is written anew
	out      blob.AppendFile
	unsynced bool
	lean     bool // there is no session in it
	failed   bool
	failedAt time.Time
}

func newJournal(o *Streams, stream string) *journal { return &journal{owner: o, stream: stream} }

func journalKey(stream string, n int) string { return fmt.Sprintf("live/%s/journal-%d", stream, n) }

// write appends one record. A journal that cannot be written is tried again with the next rewrite.
func (j *journal) write(t recordType, body []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.out == nil || j.failed {
		return
	}
	j.buf = appendRecord(j.buf[:0], t, body)
	if _, err := j.out.Write(j.buf); err != nil {
		j.fail(err)
		return
	}
	j.unsynced = true
}

// fail gives the journal up and deletes it, which needs no space. One that is behind is worse than none: after a restart
// numbers would come back by it, while without history the next number is the unix seconds of the moment, above all that
// were given. mu is held.
func (j *journal) fail(err error) {
	if !j.failed {
		j.owner.o.Log.Error("journal cannot be written", slog.String("stream", j.stream), slog.Any("error", err))
	}
	j.failed, j.failedAt, j.unsynced = true, j.owner.o.Now(), false
	j.closeFile()
	for _, n := range [...]int{j.n, j.n + 1} { // a rewrite may have come half way
		if err := j.owner.o.Blobs.Delete(context.Background(), journalKey(j.stream, n)); err != nil {
			j.owner.o.Log.Error("journal that is behind cannot be deleted", slog.String("stream", j.stream), slog.Any("error", err))
		}
	}
}

// sync makes what was written survive a crash of the machine. The session goes on writing meanwhile: a disk may take seconds.
func (j *journal) sync() {
	j.mu.Lock()
	out := j.out
	due := j.unsynced && out != nil
	j.unsynced = false
	j.mu.Unlock()
	if !due {
		return
	}
	if err := out.Sync(); err != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.out == out { // else it was closed, or another has taken its place
			j.fail(err)
		}
	}
}

// rewrite puts a new file with the given records in place of the old one.
func (j *journal) rewrite(records []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	out, err := j.replace(records)
	switch {
	case err == nil:
		j.out, j.lean = out, false
		j.limit = 2*int64(len(records)) + slack
	case j.out != nil: // the old one still tells all
		j.owner.o.Log.Warn("journal cannot be written anew", slog.String("stream", j.stream), slog.Any("error", err))
		j.limit = j.out.Size() + slack
	default:
		j.fail(err)
	}
}

// replace writes the file of the next number and opens it. The old one goes once it is there. mu is held.
func (j *journal) replace(records []byte) (blob.AppendFile, error) {
	ctx := context.Background() // local files; there is nobody to cancel it
	j.attempt++
	key := journalKey(j.stream, j.n+1)
	if err := j.owner.o.Blobs.Put(ctx, key, bytes.NewReader(records), int64(len(records)), blob.Meta{}); err != nil {
		return nil, err
	}
	out, err := j.owner.append.Append(ctx, key, -1)
	if err != nil {
		return nil, errors.Join(err, j.owner.o.Blobs.Delete(ctx, key))
	}
	j.closeFile()
	if j.n > 0 {
		j.owner.trash.add(journalKey(j.stream, j.n))
	}
	if j.failed {
		j.owner.o.Log.Info("journal is written again", slog.String("stream", j.stream))
	}
	j.n++
	j.failed, j.unsynced = false, false
	return out, nil
}

// resting tells whether nobody writes the journal, although it has more than what outlives sessions, and at which attempt it is.
func (j *journal) resting(now time.Time) (attempt int, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.attempt, j.out == nil && !j.lean && (j.n > 0 || j.failed) && (!j.failed || now.Sub(j.failedAt) >= retryDisk)
}

// compact leaves of the journal what outlives sessions, unless something was written since it rested.
func (j *journal) compact(attempt int, records []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.attempt != attempt || j.out != nil {
		return
	}
	out, err := j.replace(records)
	if err != nil {
		j.fail(err)
		return
	}
	j.out, j.lean = out, true
	j.closeFile()
}

// closeFile closes the file. mu is held.
func (j *journal) closeFile() {
	if j.out == nil {
		return
	}
	if err := j.out.Close(); err != nil {
		j.owner.o.Log.Warn("close journal", slog.String("stream", j.stream), slog.Any("error", err))
	}
	j.out = nil
}

// due tells whether it is time to write the journal anew.
func (j *journal) due(now time.Time) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed {
		return now.Sub(j.failedAt) >= retryDisk
	}
	return j.out != nil && j.out.Size() > j.limit
}

// session begins the journal of a new session.
func (j *journal) session(s *session) { j.rewrite(s.records(nil)) }

func (j *journal) constants(c cut.Constants) { j.write(recConstants, encodeJSON(constantsRecord(c))) }

func (j *journal) epoch(e *epochRecord) { j.write(recEpoch, encodeJSON(e)) }

func (j *journal) plan(p *media.Plan) { j.write(recPlan, encodeJSON(p)) }

func (j *journal) rung(r *rungRecord) { j.write(recRung, encodeJSON(r)) }

func (j *journal) open(r *Rendition) { j.write(recOpen, encodeOpen(r.line, r.open)) }

func (j *journal) part(r *Rendition, p playlist.Part, listed bool) {
	j.write(recPart, encodePart(r.line, p, listed))
}

// segment notes a complete segment; the journal may be written anew then.
func (j *journal) segment(s *session, r *Rendition, o *stored) {
	j.write(recSegment, encodeSegment(r.line, o))
	if j.due(s.o.Now()) {
		j.rewrite(s.records(nil))
	}
}

func (j *journal) trim(msn uint64) { j.write(recTrim, binary.BigEndian.AppendUint64(nil, msn)) }

func (j *journal) away(at time.Time) { j.write(recAway, encodeJSON(awayRecord{AtMS: at.UnixMilli()})) }

// leave notes that the process ends while the session is away: whatever happens to the machine now, nothing is missing.
func (j *journal) leave(at time.Time) {
	j.write(recAway, encodeJSON(awayRecord{AtMS: at.UnixMilli(), Closed: true}))
	j.sync()
}

// rows notes that the sink has the rows of a rendition up to msn.
func (j *journal) rows(k cut.Line, msn uint64) { j.write(recRows, encodeRows(k, msn)) }

// end notes a session's end, and what the next one must know.
func (j *journal) end(at time.Time, st *Stream, reason live.Reason) {
	j.write(recNumbers, encodeJSON(st.numbers()))
	j.write(recEnd, encodeJSON(endRecord{AtMS: at.UnixMilli(), Reason: string(reason)}))
	j.sync()
}

// stop closes the file after a session's last record; the next session writes a new one.
func (j *journal) stop() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closeFile()
}
