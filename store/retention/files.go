package retention

import (
	"context"
	"strings"
	"time"

	"mediad/store/db"
)

// file is a run of segments of one rendition that lie in one object.
type file struct {
	rendition   string
	key         string // "": they are nowhere
	first, last int64  // MSN
	begins      time.Time
	ends        time.Time
	bytes       int64
	objects     []object  // those that are in the bucket
	pending     []object  // those that may be in a moment, or are and were not noted yet
	stored      bool      // all are, but for gaps
	pieces      []segment // those that lie in it
}

type object struct {
	epoch, msn, bytes int64
	key               string // where it is on the local disk, too; "": it is not
	offset            int64
}

// segment is one in a file: where it ends there.
type segment struct {
	msn, end, bytes int64
	elsewhere       bool // it is in the bucket, or may be
}

func (f *file) usedBy(clips []db.Video) bool {
	for i := range clips {
		c := &clips[i]
		if c.FromNS != nil && c.ToNS != nil && f.begins.UnixNano() < *c.ToNS && f.ends.UnixNano() > *c.FromNS {
			return true
		}
	}
	return false
}

// files calls fn for each file of a session with segments with numbers from first to last, by rendition and in order.
func (r *Retention) files(ctx context.Context, session string, first, last int64, fn func(*file) error) error {
	renditions, err := r.o.DB.Read(ctx).ListRenditions(session)
	if err != nil {
		return err
	}
	for _, one := range renditions {
		if err := r.filesOf(ctx, session, one.Rendition, first, last, fn); err != nil {
			return err
		}
	}
	return nil
}

// maxRun bounds a run of segments that are in no file.
const maxRun = 500

func (r *Retention) filesOf(ctx context.Context, session, rendition string, first, last int64, fn func(*file) error) error {
	var f *file
	for from, more := first, true; more; {
		rows, err := r.o.DB.Read(ctx).ListSegments(session, rendition, from, pageSize)
		if err != nil {
			return err
		}
		more = len(rows) == pageSize
		for i := range rows {
			s := &rows[i]
			if s.MSN > last {
				more = false
				break
			}
			from = s.MSN + 1
			// A gap is in no file; it goes with those around it.
			other := f != nil && f.key != s.BlobKey && (!s.Gap || s.BlobKey != "")
			if other || f != nil && f.key == "" && len(f.objects)+len(f.pending) >= maxRun {
				if err := fn(f); err != nil {
					return err
				}
				f = nil
			}
			if f == nil {
				f = &file{rendition: rendition, key: s.BlobKey, first: s.MSN, begins: s.Start(), stored: true}
			}
			if s.Bucket == db.BucketStored && !s.Gap {
				f.objects = append(f.objects, object{s.Epoch, s.MSN, s.Bytes, s.BlobKey, s.BlobOffset})
			} else if !s.Gap {
				f.stored = false
				if s.Bucket == db.BucketPending {
					f.pending = append(f.pending, object{s.Epoch, s.MSN, s.Bytes, s.BlobKey, s.BlobOffset})
				}
			}
			if s.BlobKey != "" {
				f.pieces = append(f.pieces, segment{s.MSN, s.BlobOffset + s.Bytes, s.Bytes, s.Bucket != db.BucketNone})
			}
			f.last, f.ends = s.MSN, s.Start().Add(s.Duration())
			f.bytes += s.Bytes
		}
	}
	if f != nil {
		return fn(f)
	}
	return nil
}

// sessionOf is the session that an object belongs to: live/{stream}/{session}/{file}.
func sessionOf(key string) (string, bool) {
	parts := strings.Split(key, "/")
	if len(parts) != 4 || parts[0] != "live" {
		return "", false
	}
	return parts[2], true
}
