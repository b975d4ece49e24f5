package retention

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"mediad/store/blob"
	"mediad/store/db"
)

// settled is how long after its end a session's files and rows must agree.
const settled = time.Hour

// Young is the age below which nobody judges an object, or a file of a video, that no row names: its row may be on its way. Whoever stores an
// object waits ten minutes for its row and then deletes it.
const Young = 15 * time.Minute

// ErrForeign is returned where the bucket has objects, and the rows speak of none of them.
var ErrForeign = errors.New("retention: the rows speak of nothing that is in the bucket")

// Orphans is where rows, files and the bucket do not agree.
type Orphans struct {
	// Files are named by no row.
	Files []blob.Info
	// Rows name objects that are not there, or what would lie behind the end of a file.
	Rows []Lost
	// Objects are in the bucket, and named by no row.
	Objects []blob.Info
	// Missing are in the bucket by their rows, and are not there, or have another size.
	Missing []Missing
	// Sessions are those that were looked at.
	Sessions []Checked
	// Going is how many sessions with files were not looked at: they are running, or have been over for less than an hour.
	Going int
	// Young is how many objects and files without rows were not judged, as they are younger than that.
	Young int
	// Strange are the first keys of the bucket that mediad does not make, and StrangeCount is how many there are. They are left alone.
	Strange      []string
	StrangeCount int
	// Foreign is set where the bucket has objects and no row speaks of any of them: either the data folder or the bucket is another one's.
	// Then no object is in Objects, and none is deleted.
	Foreign bool
}

// Lost is a run of segments of one rendition that are not in their file.
type Lost struct {
	Session, Rendition, Key string
	First, Last             int64 // MSN
	Bytes                   int64
	// Elsewhere: they are in the bucket, or whoever stores them there finds out.
	Elsewhere bool
}

// Missing is a segment that is not in the bucket.
type Missing struct {
	Session, Rendition, Key string
	MSN, Bytes              int64
	Local                   string // the file that it is in on the local disk; "": in none
	Offset                  int64  // in that file
}

// Checked is a session, or a clip, whose rows were held against its files.
type Checked struct {
	Session  string
	Segments int   // that lie in files
	Bytes    int64 // of them
	Files    int
}

// None tells whether everything agrees.
func (o *Orphans) None() bool {
	return len(o.Files) == 0 && len(o.Rows) == 0 && len(o.Objects) == 0 && len(o.Missing) == 0 && !o.Foreign
}

// Orphans compares the files and rows of all sessions of which there is a replay, or that have been over for an hour, and of clips; and
// with a bucket, all rows with what is in it. It reads everything there is.
func (r *Retention) Orphans(ctx context.Context) (Orphans, error) {
	var out Orphans
	there := make(map[string]map[string]blob.Info) // by session and key
	err := r.o.Blobs.List(ctx, "live/", func(i blob.Info) error {
		session, ok := sessionOf(i.Key)
		if !ok {
			return nil
		}
		if there[session] == nil {
			there[session] = make(map[string]blob.Info)
		}
		there[session][i.Key] = i
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("retention: list files: %w", err)
	}
	for session := range there {
		if err := r.compare(ctx, session, there[session], &out); err != nil {
			return out, err
		}
	}
	if err := r.withoutFiles(ctx, there, &out); err != nil {
		return out, err
	}
	if err := r.videos(ctx, &out); err != nil {
		return out, err
	}
	return out, r.objects(ctx, &out)
}

// compare holds the files of a session against its rows.
func (r *Retention) compare(ctx context.Context, session string, files map[string]blob.Info, out *Orphans) error {
	over, err := r.over(ctx, session, files)
	if err != nil {
		return err
	}
	if !over {
		out.Going++
		return nil
	}
	if err := r.compareRows(ctx, session, false, files, out); err != nil {
		return err
	}
	for _, i := range files {
		out.Files = append(out.Files, i)
	}
	return nil
}

// compareRows takes the files out that rows name. A row of a clip keeps its key, whatever becomes of the file: without one it stands for a
// segment of the session. Who shows it looks into the bucket then.
func (r *Retention) compareRows(ctx context.Context, session string, clip bool, files map[string]blob.Info, out *Orphans) error {
	checked := Checked{Session: session}
	err := r.files(ctx, session, 0, db.LastMSN, func(f *file) error {
		if f.key == "" {
			return nil
		}
		info := files[f.key] // of no size, where it is not there
		var lost []Lost
		checked.Files++
		for _, s := range f.pieces {
			checked.Segments++
			checked.Bytes += s.bytes
			if s.end <= info.Size || clip && s.elsewhere {
				continue
			}
			n := len(lost)
			if n == 0 || lost[n-1].Elsewhere != s.elsewhere {
				lost = append(lost, Lost{Session: session, Rendition: f.rendition, Key: f.key, First: s.msn, Elsewhere: s.elsewhere})
				n++
			}
			lost[n-1].Last = s.msn
			lost[n-1].Bytes += s.bytes
		}
		out.Rows = append(out.Rows, lost...)
		delete(files, f.key)
		return nil
	})
	out.Sessions = append(out.Sessions, checked)
	return err
}

// videos compares what clips have of their own with their rows, and finds what belongs to no video.
func (r *Retention) videos(ctx context.Context, out *Orphans) error {
	there := make(map[string]map[string]blob.Info) // by video and key
	err := r.o.Blobs.List(ctx, "vod/", func(i blob.Info) error {
		id := videoOf(i.Key)
		if there[id] == nil {
			there[id] = make(map[string]blob.Info)
		}
		there[id][i.Key] = i
		return nil
	})
	if err != nil {
		return fmt.Errorf("retention: list videos: %w", err)
	}
	for _, id := range slices.Sorted(maps.Keys(there)) {
		_, err := r.o.DB.Read(ctx).FindVideo(id)
		if err == nil {
			continue
		}
		if !errors.Is(err, db.ErrNotFound) {
			return fmt.Errorf("retention: %w", err)
		}
		r.unnamed(there[id], &out.Files, out)
	}
	for after := ""; ; {
		clips, err := r.o.DB.Read(ctx).ListReadyClips(after, pageSize)
		if err != nil {
			return fmt.Errorf("retention: %w", err)
		}
		for i := range clips {
			after = clips[i].ID
			if others, err := r.o.DB.Read(ctx).KeptElsewhere(*clips[i].SessionID, r.o.Node); err != nil || others {
				if err != nil {
					return fmt.Errorf("retention: %w", err)
				}
				continue // its files are on that node's disk
			}
			if err := r.compareRows(ctx, after, true, there[after], out); err != nil {
				return err
			}
		}
		if len(clips) < pageSize {
			return nil
		}
	}
}

// unnamed adds to orphans what no row names, but for what is so young that its row may be on its way.
func (r *Retention) unnamed(there map[string]blob.Info, orphans *[]blob.Info, out *Orphans) {
	for _, key := range slices.Sorted(maps.Keys(there)) {
		if i := there[key]; r.o.Now().Sub(i.Modified) > Young {
			*orphans = append(*orphans, i)
		} else {
			out.Young++
		}
	}
}

// over tells whether a session is no longer written to: its row says when it ended. One without a row is judged by its files.
func (r *Retention) over(ctx context.Context, session string, files map[string]blob.Info) (bool, error) {
	now := r.o.Now()
	// A replay is made when all rows are there.
	if rec, err := r.o.DB.Read(ctx).LastStretch(session); err == nil && rec.State == db.RecordingMade {
		return true, nil
	}
	s, err := r.o.DB.Read(ctx).FindSession(session)
	switch {
	case err == nil:
		return s.EndedAt != nil && now.Sub(s.EndedAt.Time()) > settled, nil
	case !errors.Is(err, db.ErrNotFound):
		return false, fmt.Errorf("retention: %w", err)
	}
	for _, i := range files {
		if now.Sub(i.Modified) < 24*time.Hour {
			return false, nil
		}
	}
	return true, nil
}

// withoutFiles finds recordings of which no file is there at all.
func (r *Retention) withoutFiles(ctx context.Context, there map[string]map[string]blob.Info, out *Orphans) error {
	p := planner{r: r, q: r.o.DB.Read(ctx)}
	looked := make(map[string]bool) // a session may have many recordings
	for _, state := range []string{db.RecordingMade, db.RecordingEnded} {
		err := p.each(state, func(rec *db.Recording) (bool, error) {
			if _, ok := there[rec.SessionID]; ok || looked[rec.SessionID] {
				return false, nil
			}
			looked[rec.SessionID] = true
			return false, r.compare(ctx, rec.SessionID, nil, out)
		})
		if err != nil {
			return fmt.Errorf("retention: %w", err)
		}
	}
	return nil
}

// Mend deletes files and objects that no row names, and rows whose segment is nowhere: a replay goes on without them. What is missing
// on the local disk alone is read from the bucket from then on; what is missing in the bucket alone is stored there again from the local disk; what is nowhere becomes a gap.
//
// It does nothing, and returns ErrForeign, where the bucket is not that of these rows.
func (r *Retention) Mend(ctx context.Context, o Orphans) error {
	if o.Foreign {
		return ErrForeign
	}
	for _, i := range o.Files {
		if err := r.o.Blobs.Delete(ctx, i.Key); err != nil {
			return fmt.Errorf("retention: %w", err)
		}
	}
	for _, l := range o.Rows {
		err := r.o.DB.Tx(ctx, func(q db.Queries) error {
			if l.Elsewhere {
				return q.ForgetLocal(l.Session, l.Rendition, l.First, l.Last)
			}
			return q.DeleteSegments(l.Session, l.Rendition, l.First, l.Last)
		})
		if err != nil {
			return fmt.Errorf("retention: %w", err)
		}
	}
	if len(o.Objects) > 0 {
		keys := make([]string, len(o.Objects))
		for i := range o.Objects {
			keys[i] = o.Objects[i].Key
		}
		if err := blob.DeleteAll(ctx, r.o.Bucket.Store, keys); err != nil {
			return fmt.Errorf("retention: bucket: %w", err)
		}
	}
	for i := range o.Missing {
		if err := r.restore(ctx, &o.Missing[i]); err != nil {
			return fmt.Errorf("retention: bucket: %w", err)
		}
	}
	return nil
}

// restore stores a segment in the bucket again, or notes that it is lost.
func (r *Retention) restore(ctx context.Context, m *Missing) error {
	data, err := r.local(ctx, m)
	if err != nil {
		return err
	}
	if data != nil {
		return r.o.Bucket.Put(ctx, m.Key, bytes.NewReader(data), m.Bytes, r.o.Bucket.Meta(m.Rendition))
	}
	if err := r.o.Bucket.Delete(ctx, m.Key); err != nil { // what is there of it is of no use
		return err
	}
	return r.o.DB.Tx(ctx, func(q db.Queries) error {
		_, err := q.MarkLost(m.Session, m.Rendition, m.MSN)
		return err
	})
}

// local reads a segment from the local disk; nil: it is not there, or not all of it.
func (r *Retention) local(ctx context.Context, m *Missing) ([]byte, error) {
	if m.Local == "" {
		return nil, nil
	}
	info, err := r.o.Blobs.Stat(ctx, m.Local)
	if errors.Is(err, blob.ErrNotExist) || err == nil && info.Size < m.Offset+m.Bytes {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := r.o.Blobs.Open(ctx, m.Local, m.Offset, m.Bytes)
	if err != nil {
		return nil, err
	}
	data := make([]byte, m.Bytes)
	_, err = io.ReadFull(f, data)
	return data, errors.Join(err, f.Close())
}
