package packager

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"mediad/live"
	"mediad/media"
	"mediad/packager/cut"
	"mediad/packager/playlist"
)

const journalVersion = 1

type headerRecord struct {
	Version int    `json:"version"`
	Stream  string `json:"stream"`
	// Boot is the run of the machine in which the journal was begun, as Options.Boot has it.
	Boot string `json:"boot,omitempty"`
}

// numbersRecord is what outlives sessions.
type numbersRecord struct {
	NextMSN         uint64        `json:"next_msn"`
	Discontinuities uint64        `json:"discontinuities"`
	LastEpoch       int64         `json:"last_epoch"`
	LongestGOP      time.Duration `json:"longest_gop_ns"`
}

type sessionRecord struct {
	ID              string     `json:"id"`
	Grant           live.Grant `json:"grant"`
	StartMS         int64      `json:"start_ms"`
	BaseMSN         uint64     `json:"base_msn"`
	Discontinuities uint64     `json:"discontinuities"`
}

type constantsRecord struct {
	Target     int           `json:"target"`
	PartTarget time.Duration `json:"part_target_ns"`
	// SourceWhole: the source's segments are listed without parts.
	SourceWhole bool `json:"source_whole,omitempty"`
}

type epochRecord struct {
	ID          int64         `json:"id"`
	Index       int           `json:"index"`
	Start       time.Duration `json:"start_ns"`
	StartedAtMS int64         `json:"started_at_ms"`
	Protocol    string        `json:"protocol"`
	Encoder     string        `json:"encoder"`
	// Tracks and their init segments, by kind: also what stands for a track that the epoch does not have.
	Tracks [media.Kinds]trackRecord `json:"tracks"`
	rungs  []rungRecord             // have records of their own, as their tracks are known later
}

type trackRecord struct {
	Codec  string `json:"codec,omitempty"` // empty: the session has no such rendition
	Config []byte `json:"config,omitempty"`
	Init   []byte `json:"init,omitempty"`
}

type awayRecord struct {
	AtMS int64 `json:"at_ms"`
	// Closed: the process ended in good order, and this is the last record that it wrote.
	Closed bool `json:"closed,omitempty"`
}

type endRecord struct {
	AtMS   int64  `json:"at_ms"`
	Reason string `json:"reason"`
}

func encodeJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("packager: journal record %T: %v", v, err)) // the types above cannot fail
	}
	return b
}

// noFile stands for a segment that is only in memory.
const noFile = 1<<32 - 1

const (
	flagDiscontinuity = 1
	flagIndependent   = 1
	flagListed        = 2
	flagGap           = 2
)

func bit(on bool, flag byte) byte {
	if on {
		return flag
	}
	return 0
}

func fileNumber(f *logFile) uint32 {
	if f == nil {
		return noFile
	}
	return uint32(f.n)
}

func encodeOpen(k cut.Line, s *stored) []byte {
	b := make([]byte, 0, openSize)
	b = append(b, byte(k), bit(s.discontinuity, flagDiscontinuity))
	b = binary.BigEndian.AppendUint64(b, s.msn)
	b = binary.BigEndian.AppendUint64(b, uint64(s.epoch))
	b = binary.BigEndian.AppendUint64(b, uint64(s.start))
	b = binary.BigEndian.AppendUint64(b, s.disc)
	b = binary.BigEndian.AppendUint32(b, fileNumber(s.file))
	b = binary.BigEndian.AppendUint64(b, uint64(s.offset))
	if s.early != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(s.early))
	}
	return b
}

func encodePart(k cut.Line, p playlist.Part, listed bool) []byte {
	b := make([]byte, 0, partSize)
	b = append(b, byte(k), bit(p.Independent, flagIndependent)|bit(listed, flagListed))
	b = binary.BigEndian.AppendUint64(b, uint64(p.Duration))
	return binary.BigEndian.AppendUint32(b, uint32(p.Size))
}

func encodeSegment(k cut.Line, s *stored) []byte {
	b := make([]byte, 0, segmentSize)
	b = append(b, byte(k), bit(s.seg.Independent, flagIndependent)|bit(s.seg.Gap, flagGap))
	b = binary.BigEndian.AppendUint64(b, uint64(s.seg.Duration))
	b = binary.BigEndian.AppendUint64(b, uint64(s.size))
	return binary.BigEndian.AppendUint32(b, fileNumber(s.file))
}

// The sizes of the binary records' bodies.
const (
	openSize    = 2 + 4*8 + 4 + 8
	partSize    = 2 + 8 + 4
	segmentSize = 2 + 8 + 8 + 4
	rowsSize    = 1 + 8
)

var errRecord = errors.New("packager: journal record of wrong size")

func decodeOpen(b []byte) (k cut.Line, s stored, file uint32, err error) {
	if len(b) != openSize && len(b) != openSize+8 || b[0] >= cut.Lines {
		return 0, stored{}, 0, errRecord
	}
	s = stored{
		discontinuity: b[1]&flagDiscontinuity != 0,
		msn:           binary.BigEndian.Uint64(b[2:]),
		epoch:         int64(binary.BigEndian.Uint64(b[10:])),
		start:         time.Duration(binary.BigEndian.Uint64(b[18:])),
		disc:          binary.BigEndian.Uint64(b[26:]),
		offset:        int64(binary.BigEndian.Uint64(b[38:])),
	}
	if len(b) > openSize {
		s.early = time.Duration(binary.BigEndian.Uint64(b[openSize:]))
	}
	return cut.Line(b[0]), s, binary.BigEndian.Uint32(b[34:]), nil
}

func decodePart(b []byte) (k cut.Line, p playlist.Part, listed bool, err error) {
	if len(b) != partSize || b[0] >= cut.Lines {
		return 0, playlist.Part{}, false, errRecord
	}
	p = playlist.Part{
		Independent: b[1]&flagIndependent != 0,
		Duration:    time.Duration(binary.BigEndian.Uint64(b[2:])),
		Size:        int(binary.BigEndian.Uint32(b[10:])),
	}
	return cut.Line(b[0]), p, b[1]&flagListed != 0, nil
}

func decodeSegment(b []byte) (k cut.Line, seg playlist.Segment, file uint32, err error) {
	if len(b) != segmentSize || b[0] >= cut.Lines {
		return 0, playlist.Segment{}, 0, errRecord
	}
	seg = playlist.Segment{
		Independent: b[1]&flagIndependent != 0, Gap: b[1]&flagGap != 0,
		Duration: time.Duration(binary.BigEndian.Uint64(b[2:])),
		Bytes:    int64(binary.BigEndian.Uint64(b[10:])),
	}
	return cut.Line(b[0]), seg, binary.BigEndian.Uint32(b[18:]), nil
}

func encodeRows(k cut.Line, msn uint64) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, rowsSize), byte(k)), msn)
}

func decodeRows(b []byte) (k cut.Line, msn uint64, err error) {
	if len(b) != rowsSize || b[0] >= cut.Lines {
		return 0, 0, errRecord
	}
	return cut.Line(b[0]), binary.BigEndian.Uint64(b[1:]), nil
}

// numbers are the stream's.
func (st *Stream) numbers() numbersRecord {
	st.mu.Lock()
	defer st.mu.Unlock()
	return numbersRecord{NextMSN: st.nextMSN, Discontinuities: st.discs, LastEpoch: st.lastEpoch, LongestGOP: st.longestGOP}
}

func (s *session) epochRecord(e *live.Epoch, tracks [media.Kinds]*media.Track) epochRecord {
	rec := epochRecord{
		ID: e.ID, Index: e.Index, Start: e.Start, StartedAtMS: e.StartedAt.UnixMilli(),
		Protocol: e.Protocol, Encoder: e.Encoder,
	}
	for k, r := range s.renditions[:media.Kinds] {
		t := tracks[k]
		if r == nil || t != nil && s.encodes(cut.Line(k)) {
			continue
		}
		if t == nil {
			t = r.track
		}
		rec.Tracks[k] = trackRecord{Codec: t.Codec.String(), Config: t.Config, Init: r.inits[e.ID]}
	}
	return rec
}

// records is what outlives sessions, appended to b.
func (st *Stream) records(b []byte) []byte {
	b = appendRecord(b, recHeader, encodeJSON(headerRecord{Version: journalVersion, Stream: st.name, Boot: st.owner.o.Boot}))
	return appendRecord(b, recNumbers, encodeJSON(st.numbers()))
}

// records is all that the journal must say of the session, appended to b.
func (s *session) records(b []byte) []byte {
	b = s.stream.records(b)
	b = appendRecord(b, recSession, encodeJSON(sessionRecord{
		ID: s.id, Grant: s.grant, StartMS: s.start.UnixMilli(), BaseMSN: s.base, Discontinuities: s.discs,
	}))
	if s.decided != nil {
		b = appendRecord(b, recConstants, encodeJSON(constantsRecord(*s.decided)))
	}
	if s.plan != nil {
		b = appendRecord(b, recPlan, encodeJSON(s.plan))
	}
	for _, e := range s.epochs {
		if s.needs(e.ID) {
			b = appendRecord(b, recEpoch, encodeJSON(e))
			for i := range e.rungs {
				b = appendRecord(b, recRung, encodeJSON(&e.rungs[i]))
			}
		}
	}
	for _, r := range s.renditions {
		if r != nil {
			b = r.records(b, s.liveFirst)
		}
	}
	for k, msn := range s.stream.rowsStored() {
		if msn > 0 {
			b = appendRecord(b, recRows, encodeRows(cut.Line(k), msn))
		}
	}
	if s.away && len(s.epochs) > 0 {
		b = appendRecord(b, recAway, encodeJSON(awayRecord{AtMS: s.awayAt.UnixMilli()}))
	}
	return b
}

// needs tells whether an epoch is still needed: it has segments, or is the newest.
func (s *session) needs(epoch int64) bool {
	if n := len(s.epochs); n > 0 && epoch == s.epochs[n-1].ID {
		return true
	}
	for _, r := range s.renditions {
		if r != nil && len(r.list) > 0 && r.list[0].epoch <= epoch {
			return true
		}
	}
	return false
}

// records appends the rendition's segments, the parts of those only that the live playlist lists.
func (r *Rendition) records(b []byte, live uint64) []byte {
	for _, o := range r.list {
		b = appendRecord(b, recOpen, encodeOpen(r.line, o))
		if o.msn >= live {
			b = r.partRecords(b, o, o.seg.Parts)
		}
		b = appendRecord(b, recSegment, encodeSegment(r.line, o))
	}
	if r.open != nil {
		b = appendRecord(b, recOpen, encodeOpen(r.line, r.open))
		b = r.partRecords(b, r.open, r.parts)
	}
	return b
}

func (r *Rendition) partRecords(b []byte, o *stored, parts []playlist.Part) []byte {
	for _, p := range parts {
		b = appendRecord(b, recPart, encodePart(r.line, p, o.listed))
	}
	return b
}

// codecs by the name that the journal gives them.
func trackOf(rec trackRecord) (*media.Track, error) {
	type maker struct {
		codec media.Codec
		make  func([]byte) (*media.Track, error)
	}
	for _, m := range []maker{
		{media.H264, media.NewH264}, {media.H265, media.NewH265}, {media.AV1, media.NewAV1}, {media.VP9, media.NewVP9},
		{media.AAC, media.NewAAC},
	} {
		if m.codec.String() == rec.Codec {
			return m.make(rec.Config)
		}
	}
	return nil, fmt.Errorf("packager: journal names the codec %q", rec.Codec)
}

func (c constantsRecord) constants() *cut.Constants {
	return &cut.Constants{Target: c.Target, PartTarget: c.PartTarget, SourceWhole: c.SourceWhole}
}
