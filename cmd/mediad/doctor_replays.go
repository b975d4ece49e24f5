package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"mediad/api/video"
	"mediad/media"
	"mediad/packager/playlist"
	"mediad/packager/replay"
	"mediad/store/blob"
	"mediad/store/db"
)

// playlistCheck is what a video's playlists say beside what its rows say.
type playlistCheck struct {
	segments int // that are listed, of all renditions, without gaps
	problems []string
}

func (c *playlistCheck) fault(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// examinePlaylists holds the playlists of replays and clips against their rows, those that the server makes and those in the bucket, and names
// what does not agree. Bucket is nil where there is none.
func (d *doctor) examinePlaylists(ctx context.Context, database *db.DB, bucket *bucketVideos) {
	const name = "playlists"
	checked, wrong, unstored := 0, 0, 0
	err := eachWatchable(ctx, database, func(v db.Video) error {
		rec, err := readVideo(ctx, database, v)
		if err != nil {
			return err
		}
		shown, unshown := replay.New(rec) // checkPlaylists says why
		if unshown == nil && d.fix {
			if v, err = noteMedia(ctx, database, v, shown); err != nil {
				return err
			}
		}
		c := checkPlaylists(v, &rec)
		if unshown == nil && bucket != nil {
			missing, err := c.bucket(ctx, bucket, v, &rec, shown, d.fix)
			if err != nil {
				return err
			}
			if missing {
				unstored++
			}
		}
		checked++
		if len(c.problems) > 0 {
			wrong++
		}
		for _, problem := range c.problems[:min(len(c.problems), listedAtMost)] {
			d.say(finding{name: name, text: fmt.Sprintf("%s %s: %s", v.Kind, v.ID, problem), fails: true,
				advice: "mediad doctor --orphans --fix stores it anew; what comes back, report, with the rows of the session"})
		}
		if d.verbose && len(c.problems) == 0 {
			length := time.Duration(v.DurationMS) * time.Millisecond
			d.say(finding{name: name, text: fmt.Sprintf("%s %s: %d segments, %s, %.1f MB", v.Kind, v.ID, c.segments, length, float64(v.Bytes)/1e6)})
		}
		return nil
	})
	if err != nil {
		d.say(finding{name: name, text: err.Error(), fails: true, advice: "run mediad doctor --fix, then try again"})
		return
	}
	text := fmt.Sprintf("%d videos, %d of them do not agree with their rows", checked, wrong)
	if unstored > 0 {
		text += fmt.Sprintf("; %d are not in the bucket yet, which the server sees to", unstored)
	}
	d.say(finding{name: name, text: text})
}

// noteMedia corrects what the row of a video says of its media, some of which was lost. The server then stores its playlists anew.
func noteMedia(ctx context.Context, database *db.DB, v db.Video, shown *replay.Video) (db.Video, error) {
	if off := (shown.Duration - time.Duration(v.DurationMS)*time.Millisecond).Abs(); off < time.Millisecond && shown.Bytes == v.Bytes {
		return v, nil
	}
	err := database.Tx(ctx, func(q db.Queries) error {
		err := q.SetMedia(v.ID, shown.Duration.Milliseconds(), shown.Bytes, db.At(time.Now()))
		if err != nil {
			return err
		}
		v, err = q.FindVideo(v.ID)
		return err
	})
	return v, err
}

// bucket compares the playlists that lie in the bucket, or brings them there anew, and tells whether the video is missing there. What nobody may watch by a
// link, and what has segments that are not stored, has none.
func (c *playlistCheck) bucket(ctx context.Context, b *bucketVideos, v db.Video, rec *replay.Recording, shown *replay.Video, fix bool) (missing bool, err error) {
	if !video.ByLink(v) || v.StreamID == nil {
		return false, nil
	}
	for i := range rec.Renditions {
		r := &rec.Renditions[i]
		own := ownNames(v, r)
		for j := range r.Segments {
			s := &r.Segments[j]
			if !s.Gap && s.Bytes > 0 && !s.Stored && !own[string(playlist.AppendSegmentName(nil, s.Epoch, s.MSN))] {
				return false, nil
			}
		}
	}
	of, err := b.db.Read(ctx).FindStream(*v.StreamID)
	if err != nil {
		return false, err
	}
	other := ""
	for _, p := range bucketPlaylists(&of, v, rec, shown) {
		is, err := b.text(ctx, p.key)
		switch {
		case errors.Is(err, blob.ErrNotExist):
			missing = true
		case err != nil:
			return false, err
		case !bytes.Equal(is, p.plain):
			other = p.key
		}
	}
	switch {
	case fix && (missing || other != ""):
		return false, b.bring(ctx, v)
	case other != "":
		c.fault("%s in the bucket is another than its rows make", other)
	}
	return missing, nil
}

// eachWatchable calls fn for each replay and clip that can be watched.
func eachWatchable(ctx context.Context, database *db.DB, fn func(db.Video) error) error {
	for after := (db.Recording{}); ; {
		some, err := database.Read(ctx).ListRecordings(db.RecordingMade, after, recordingsAtOnce)
		if err != nil {
			return err
		}
		for _, one := range some {
			after = one
			v, err := database.Read(ctx).FindReplay(one.SessionID, one.FirstMSN)
			if errors.Is(err, db.ErrNotFound) || err == nil && v.DeletedAt != nil {
				continue
			}
			if err == nil {
				err = fn(v)
			}
			if err != nil {
				return err
			}
		}
		if len(some) < recordingsAtOnce {
			break
		}
	}
	for after := ""; ; {
		some, err := database.Read(ctx).ListReadyClips(after, recordingsAtOnce)
		if err != nil {
			return err
		}
		for _, v := range some {
			after = v.ID
			if err := fn(v); err != nil {
				return err
			}
		}
		if len(some) < recordingsAtOnce {
			return nil
		}
	}
}

// checkPlaylists holds the playlists that viewers get of a video against its rows.
func checkPlaylists(v db.Video, rec *replay.Recording) (c playlistCheck) {
	shown, err := replay.New(*rec)
	if err != nil {
		c.fault("it cannot be shown: %v", err)
		return c
	}
	if off := (shown.Duration - time.Duration(v.DurationMS)*time.Millisecond).Abs(); off >= time.Millisecond {
		c.fault("it lasts %s, its row says %d ms", shown.Duration, v.DurationMS)
	}
	if shown.Bytes != v.Bytes {
		c.fault("it has %d bytes, its row says %d", shown.Bytes, v.Bytes)
	}
	for _, variant := range shown.Variants() {
		for i := range rec.Renditions {
			if r := &rec.Renditions[i]; r.Name == variant.Name {
				of, _ := shown.Rendition(r.Name)
				c.rendition(r, of.Playlist().Plain, frameOf(variant))
			}
		}
	}
	return c
}

// frameOf is how long a picture or a frame of sound lasts.
func frameOf(v playlist.Variant) time.Duration {
	t := v.Track
	switch {
	case t.Kind == media.Audio:
		return t.Timescale.Duration(media.Ticks(t.FrameSamples))
	case v.FrameRate > 0:
		return time.Duration(float64(time.Second) / v.FrameRate)
	default:
		return time.Second / 10 // variable
	}
}

// rendition checks one media playlist: each segment that its rows have is listed once, with its date and length; and dates go on
// where the one before ends, within a frame, but for discontinuities.
func (c *playlistCheck) rendition(r *replay.Rendition, text []byte, frame time.Duration) {
	rows := make(map[string]*replay.Segment, len(r.Segments))
	for i := range r.Segments {
		s := &r.Segments[i]
		rows[string(playlist.AppendSegmentName(nil, s.Epoch, s.MSN))] = s
	}
	var due, date time.Time // where the next one is to begin; its date
	var length time.Duration
	dated, cut, gap := false, false, false
	for line := range strings.SplitSeq(string(text), "\n") {
		value := func(tag string) (string, bool) { return strings.CutPrefix(line, tag) }
		if v, ok := value("#EXT-X-PROGRAM-DATE-TIME:"); ok {
			date, _ = time.Parse(time.RFC3339Nano, v)
			dated = true
		} else if v, ok := value("#EXTINF:"); ok {
			length, _ = time.ParseDuration(strings.TrimSuffix(v, ",") + "s")
		}
		switch {
		case line == "#EXT-X-DISCONTINUITY":
			cut = true
		case line == "#EXT-X-GAP":
			gap = true
		case strings.HasPrefix(line, "seg_"):
			if !dated {
				date = due
			}
			if off := date.Sub(due).Abs(); !due.IsZero() && !cut && off > frame+time.Millisecond {
				c.fault("%s: %s begins %s off the end of the one before", r.Name, line, off)
			}
			if !gap {
				c.segment(r.Name, line, rows, date, length)
			}
			due = date.Add(length)
			dated, cut, gap = false, false, false
		}
	}
	for name, s := range rows {
		if !s.Gap && s.Bytes > 0 && (s.Key != "" || s.Stored) {
			c.fault("%s: %s is stored and not listed", r.Name, name)
		}
	}
}

// segment checks one that is listed, and takes it out of rows.
func (c *playlistCheck) segment(rendition, name string, rows map[string]*replay.Segment, date time.Time, length time.Duration) {
	s := rows[name]
	if s == nil {
		c.fault("%s: %s is listed twice, or without a row", rendition, name)
		return
	}
	delete(rows, name)
	c.segments++
	// A date has milliseconds, and so has what is added up from it.
	if off := date.Sub(s.Start).Abs(); off > 2*time.Millisecond {
		c.fault("%s: the date of %s is %s off its row's", rendition, name, off)
	}
	if off := (length - s.Duration).Abs(); off > time.Millisecond {
		c.fault("%s: the length of %s is %s off its row's", rendition, name, off)
	}
}
