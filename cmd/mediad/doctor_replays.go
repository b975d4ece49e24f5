package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"mediad/media"
	"mediad/packager/playlist"
	"mediad/packager/replay"
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

// examinePlaylists holds the playlists of replays and clips against their rows, and reports each video.
func (d *doctor) examinePlaylists(ctx context.Context, database *db.DB) {
	const name = "playlists"
	checked, wrong := 0, 0
	err := eachWatchable(ctx, database, func(v db.Video) error {
		rec, err := readVideo(ctx, database, v)
		if err != nil {
			return err
		}
		c := checkPlaylists(v, &rec)
		checked++
		if len(c.problems) > 0 {
			wrong++
		}
		for _, problem := range c.problems[:min(len(c.problems), listedAtMost)] {
			d.say(finding{name: name, text: fmt.Sprintf("%s %s: %s", v.Kind, v.ID, problem), fails: true, advice: "report this, with the rows of the session"})
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
	d.say(finding{name: name, text: fmt.Sprintf("%d videos, %d of them do not agree with their rows", checked, wrong)})
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
