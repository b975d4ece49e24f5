package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mediad/store/blob"
	"mediad/store/db"
)

// settled is how long after its end a session's files and rows must agree.
const settled = time.Hour

// Orphans is where rows and files do not agree.
type Orphans struct {
	// Files are named by no row.
	Files []blob.Info
	// Rows name objects that are not there.
	Rows []Lost
}

// Lost is a run of segments of one rendition whose object is not there.
type Lost struct {
	Session, Rendition, Key string
	First, Last             int64 // MSN
	Bytes                   int64
}

// Orphans compares the files and rows of all sessions that have been over for an hour. It reads everything there is.
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
	return out, r.withoutFiles(ctx, there, &out)
}

// compare holds the files of a session against its rows.
func (r *Retention) compare(ctx context.Context, session string, files map[string]blob.Info, out *Orphans) error {
	over, err := r.over(ctx, session, files)
	if err != nil || !over {
		return err
	}
	err = r.files(ctx, session, func(f *file) error {
		if f.key == "" {
			return nil
		}
		if _, ok := files[f.key]; !ok {
			out.Rows = append(out.Rows, Lost{Session: session, Rendition: f.rendition, Key: f.key, First: f.first, Last: f.last, Bytes: f.bytes})
		}
		delete(files, f.key)
		return nil
	})
	if err != nil {
		return err
	}
	for _, i := range files {
		out.Files = append(out.Files, i)
	}
	return nil
}

// over tells whether a session is no longer written to: its row says when it ended. One without a row is judged by its files.
func (r *Retention) over(ctx context.Context, session string, files map[string]blob.Info) (bool, error) {
	now := r.o.Now()
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
	for _, state := range []string{db.RecordingMade, db.RecordingEnded} {
		err := p.each(state, func(rec *db.Recording) (bool, error) {
			if _, ok := there[rec.SessionID]; ok {
				return false, nil
			}
			return false, r.compare(ctx, rec.SessionID, nil, out)
		})
		if err != nil {
			return fmt.Errorf("retention: %w", err)
		}
	}
	return nil
}

// Mend deletes files that no row names, and rows whose object is not there: a replay goes on without them.
func (r *Retention) Mend(ctx context.Context, o Orphans) error {
	for _, i := range o.Files {
		if err := r.o.Blobs.Delete(ctx, i.Key); err != nil {
			return fmt.Errorf("retention: %w", err)
		}
	}
	for _, l := range o.Rows {
		err := r.o.DB.Tx(ctx, func(q db.Queries) error { return q.DeleteSegments(l.Session, l.Rendition, l.First, l.Last) })
		if err != nil {
			return fmt.Errorf("retention: %w", err)
		}
	}
	return nil
}
