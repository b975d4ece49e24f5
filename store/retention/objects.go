package retention

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"mediad/store/blob"
	"mediad/store/db"
)

// ours are the keys of docs/formats/bucket.md; of others it is not for us to say whether anybody needs them.
var ours = regexp.MustCompile(`^(?:live/[^/]+/(?:index\.m3u8|[^/]+/(?:index\.m3u8|init_\d+\.mp4|seg_\d+_\d+\.m4s))` +
	`|vod/[^/]+/(?:index\.m3u8|thumb\.jpg|storyboard\.vtt|storyboard_\d+\.jpg|[^/]+/(?:index\.m3u8|init_\d+\.mp4|seg_\d+_\d+\.m4s)))$`)

// strangeAtMost is how many strange keys are told.
const strangeAtMost = 20

// shelves gathers what the bucket has of one stream, or of one video, at a time.
type shelves struct {
	r       *Retention
	out     *Orphans
	streams map[string]*db.Stream // by slug: those that were not met in the bucket yet
	folder  string                // live/{stream}/ or vod/{video}/
	there   map[string]blob.Info  // in it, without the playlists of a stream that is known
	seen    int                   // objects that were in there
	known   int                   // of them, those that rows speak of
}

// objects compares the bucket with the rows that say what is in it. Of a stream or a video that is not known all is without rows.
func (r *Retention) objects(ctx context.Context, out *Orphans) error {
	if r.o.Bucket == nil {
		return nil
	}
	s := shelves{r: r, out: out, streams: make(map[string]*db.Stream), there: make(map[string]blob.Info)}
	for before := ""; ; {
		some, err := r.o.DB.Read(ctx).ListStreams(db.StreamFilter{Before: before}, pageSize)
		if err != nil {
			return fmt.Errorf("retention: %w", err)
		}
		for i := range some {
			before = some[i].ID
			s.streams[some[i].Slug] = &some[i]
		}
		if len(some) < pageSize {
			break
		}
	}
	err := r.o.Bucket.List(ctx, "", func(i blob.Info) error { return s.add(ctx, i) }) // one folder after another
	if err == nil {
		err = s.close(ctx)
	}
	for _, name := range slices.Sorted(maps.Keys(s.streams)) { // of which there is nothing
		if err == nil {
			err = s.stream(ctx, s.streams[name])
		}
	}
	if err != nil {
		return fmt.Errorf("retention: bucket: %w", err)
	}
	if s.seen > 0 && s.known == 0 {
		out.Foreign, out.Objects = true, nil
	}
	return nil
}

// add takes an object to the others of its folder.
func (s *shelves) add(ctx context.Context, i blob.Info) error {
	// What is uploaded has no rows before it has come, and who keeps pictures and exports leaves nothing behind.
	if slices.ContainsFunc([]string{"upload/", "picture/", "export/"}, func(folder string) bool { return strings.HasPrefix(i.Key, folder) }) {
		return nil
	}
	if !ours.MatchString(i.Key) {
		if s.out.StrangeCount++; len(s.out.Strange) < strangeAtMost {
			s.out.Strange = append(s.out.Strange, i.Key)
		}
		return nil
	}
	kind, rest, _ := strings.Cut(i.Key, "/")
	name, file, _ := strings.Cut(rest, "/")
	if folder := kind + "/" + name + "/"; folder != s.folder {
		if err := s.close(ctx); err != nil {
			return err
		}
		s.folder = folder
	}
	// Playlists of a stream stay for as long as it does.
	if kind == "vod" || s.streams[name] == nil || !strings.HasSuffix(file, ".m3u8") {
		s.seen++
		s.there[i.Key] = i
	}
	return nil
}

// close judges what is there of a folder.
func (s *shelves) close(ctx context.Context) error {
	kind, rest, _ := strings.Cut(s.folder, "/")
	name := strings.TrimSuffix(rest, "/")
	var err error
	if of := s.streams[name]; kind == "live" && of != nil {
		delete(s.streams, name)
		err = s.stream(ctx, of)
	} else if kind == "vod" {
		err = s.video(ctx, name)
	}
	s.r.unnamed(s.there, &s.out.Objects, s.out)
	clear(s.there)
	return err
}

// video leaves what a video may have. One that was deleted has its media still, until it cannot be had back any more, and nothing that leads there.
func (s *shelves) video(ctx context.Context, id string) error {
	v, err := s.r.o.DB.Read(ctx).FindVideo(id)
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s.known += len(s.there)
	justDeleted := v.DeletedAt != nil && s.r.o.Now().Sub(v.DeletedAt.Time()) <= Young
	for key := range s.there {
		if v.DeletedAt == nil || justDeleted || strings.HasSuffix(key, ".m4s") || strings.HasSuffix(key, ".mp4") {
			delete(s.there, key)
		}
	}
	return nil
}

// name takes out what a row names.
func (s *shelves) name(key string) (blob.Info, bool) {
	info, ok := s.there[key]
	if ok {
		s.known++
		delete(s.there, key)
	}
	return info, ok
}

// stream compares what is there of a stream.
func (s *shelves) stream(ctx context.Context, of *db.Stream) error {
	r := s.r
	for after := ""; ; {
		some, err := r.o.DB.Read(ctx).ListRecordedSessions(of.ID, after, pageSize)
		if err != nil {
			return err
		}
		for i := range some {
			after = some[i]
			others, err := r.o.DB.Read(ctx).KeptElsewhere(after, r.o.Node)
			if err != nil {
				return err
			}
			err = r.files(ctx, after, 0, db.LastMSN, func(f *file) error {
				for _, o := range f.objects {
					key := r.o.Bucket.Segment(of.Slug, f.rendition, o.epoch, o.msn)
					info, ok := s.name(key)
					if !ok && o.key != "" { // it may have been stored after the bucket was listed
						late, err := r.o.Bucket.Stat(ctx, key)
						if err != nil && !errors.Is(err, blob.ErrNotExist) {
							return err
						}
						info, ok = late, err == nil
					}
					if others { // it may have what is missing on its disk
						continue
					}
					if !ok || info.Size != o.bytes {
						s.out.Missing = append(s.out.Missing, Missing{
							Session: after, Rendition: f.rendition, Key: key, MSN: o.msn, Bytes: o.bytes, Local: o.key, Offset: o.offset,
						})
					}
				}
				for _, o := range f.pending { // it may be there, and not be noted yet
					s.name(r.o.Bucket.Segment(of.Slug, f.rendition, o.epoch, o.msn))
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
				s.name(r.o.Bucket.Init(of.Slug, t.Rendition, t.Epoch))
			}
		}
		if len(some) < pageSize {
			return nil
		}
	}
}

// videoOf is the video that an object belongs to: vod/{video}/….
func videoOf(key string) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(key, "vod/"), "/")
	return id
}
