package retention

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"mediad/store/blob"
	"mediad/store/db"
)

// settled is how long after its end a session's files and rows must agree, and after its making an object and what names it.
const settled = time.Hour

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
	MSN                     int64
	Local                   bool // it is on the local disk
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
	return len(o.Files) == 0 && len(o.Rows) == 0 && len(o.Objects) == 0 && len(o.Missing) == 0
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
	if err != nil || !over {
		return err
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
	there, err := r.ofVideos(ctx, r.o.Blobs, &out.Files)
	if err == nil && r.o.Bucket != nil {
		_, err = r.ofVideos(ctx, r.o.Bucket, &out.Objects)
	}
	if err != nil {
		return err
	}
	for after := ""; ; {
		clips, err := r.o.DB.Read(ctx).ListReadyClips(after, pageSize)
		if err != nil {
			return fmt.Errorf("retention: %w", err)
		}
		for i := range clips {
			after = clips[i].ID
			if err := r.compareRows(ctx, after, true, there[after], out); err != nil {
				return err
			}
		}
		if len(clips) < pageSize {
			return nil
		}
	}
}

// ofVideos lists what a store has of videos, by video and key, and adds what belongs to none to orphans.
func (r *Retention) ofVideos(ctx context.Context, store blob.Store, orphans *[]blob.Info) (map[string]map[string]blob.Info, error) {
	there := make(map[string]map[string]blob.Info)
	err := store.List(ctx, "vod/", func(i blob.Info) error {
		id, _, _ := strings.Cut(strings.TrimPrefix(i.Key, "vod/"), "/")
		if there[id] == nil {
			there[id] = make(map[string]blob.Info)
		}
		there[id][i.Key] = i
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("retention: list videos: %w", err)
	}
	for id, files := range there {
		_, err := r.o.DB.Read(ctx).FindVideo(id)
		if err == nil {
			continue
		}
		if !errors.Is(err, db.ErrNotFound) {
			return nil, fmt.Errorf("retention: %w", err)
		}
		for _, i := range files {
			if r.o.Now().Sub(i.Modified) > settled {
				*orphans = append(*orphans, i)
			}
		}
	}
	return there, nil
}

// objects compares the bucket with the rows that say what is in it. Of a stream that is not known all is without rows.
func (r *Retention) objects(ctx context.Context, out *Orphans) error {
	if r.o.Bucket == nil {
		return nil
	}
	streams := make(map[string]*db.Stream) // by slug: those that were not met in the bucket yet
	for before := ""; ; {
		some, err := r.o.DB.Read(ctx).ListStreams(db.StreamFilter{Before: before}, pageSize)
		if err != nil {
			return fmt.Errorf("retention: %w", err)
		}
		for i := range some {
			before = some[i].ID
			streams[some[i].Slug] = &some[i]
		}
		if len(some) < pageSize {
			break
		}
	}
	slug := ""
	there := make(map[string]blob.Info) // of that stream
	next := func(other string) error {
		of := streams[slug]
		delete(streams, slug)
		var err error
		if of != nil {
			err = r.objectsOf(ctx, of, there, out)
		} else {
			r.unnamed(there, out)
		}
		slug = other
		clear(there)
		return err
	}
	err := r.o.Bucket.List(ctx, "live/", func(i blob.Info) error { // one stream after another
		name, file, _ := strings.Cut(strings.TrimPrefix(i.Key, "live/"), "/")
		if name != slug {
			if err := next(name); err != nil {
				return err
			}
		}
		if streams[name] == nil || strings.Contains(file, "/seg_") || strings.Contains(file, "/init_") {
			there[i.Key] = i
		}
		return nil
	})
	if err == nil {
		err = next("")
	}
	for _, name := range slices.Sorted(maps.Keys(streams)) { // of which there is nothing
		if err == nil {
			err = r.objectsOf(ctx, streams[name], there, out)
		}
	}
	if err != nil {
		return fmt.Errorf("retention: bucket: %w", err)
	}
	return nil
}

// unnamed are objects that no row names, but for those whose row may be on its way.
func (r *Retention) unnamed(there map[string]blob.Info, out *Orphans) {
	for _, key := range slices.Sorted(maps.Keys(there)) {
		if i := there[key]; r.o.Now().Sub(i.Modified) > settled {
			out.Objects = append(out.Objects, i)
		}
	}
}

// objectsOf compares what is there of a stream.
func (r *Retention) objectsOf(ctx context.Context, of *db.Stream, there map[string]blob.Info, out *Orphans) error {
	for after := ""; ; {
		some, err := r.o.DB.Read(ctx).ListRecordedSessions(of.ID, after, pageSize)
		if err != nil {
			return err
		}
		for i := range some {
			after = some[i]
			err := r.files(ctx, after, 0, db.LastMSN, func(f *file) error {
				for _, o := range f.objects {
					key := r.o.Bucket.Segment(of.Slug, f.rendition, o.epoch, o.msn)
					if info, ok := there[key]; !ok || info.Size != o.bytes {
						out.Missing = append(out.Missing, Missing{Session: after, Rendition: f.rendition, Key: key, MSN: o.msn, Local: o.local})
					}
					delete(there, key)
				}
				for _, o := range f.pending { // it may be there, and not be noted yet
					delete(there, r.o.Bucket.Segment(of.Slug, f.rendition, o.epoch, o.msn))
				}
				return nil
			})
			if err != nil {
				return err
			}
			tracks, err := r.o.DB.Read(ctx).ListTracks(after)
			if err != nil {
				return err
			}
			for _, t := range tracks {
				delete(there, r.o.Bucket.Init(of.Slug, t.Rendition, t.Epoch))
			}
		}
		if len(some) < pageSize {
			break
		}
	}
	r.unnamed(there, out)
	return nil
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

// Mend deletes files and objects that no row names, and rows whose segment is nowhere: a replay goes on without them. What is in the
// bucket alone is read from there, and what is missing in the bucket alone is stored there again by the server.
func (r *Retention) Mend(ctx context.Context, o Orphans) error {
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
	for _, m := range o.Missing {
		if !m.Local { // what is there of it is of no use
			if err := r.o.Bucket.Delete(ctx, m.Key); err != nil {
				return fmt.Errorf("retention: bucket: %w", err)
			}
		}
		err := r.o.DB.Tx(ctx, func(q db.Queries) error {
			if m.Local {
				return q.MarkPending(m.Session, m.Rendition, m.MSN)
			}
			_, err := q.MarkLost(m.Session, m.Rendition, m.MSN)
			return err
		})
		if err != nil {
			return fmt.Errorf("retention: %w", err)
		}
	}
	return nil
}
