package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"mediad/configs"
	"mediad/packager"
	"mediad/store/blob"
	"mediad/store/blob/disk"
	"mediad/store/blob/s3"
	"mediad/store/db"
	"mediad/store/retention"
)

// newRetention has no streams where it only plans.
func newRetention(
	c *configs.Config, s *site, blobs, bucket blob.Store, streams *packager.Streams, now func() time.Time, log *slog.Logger,
) *retention.Retention {
	o := retention.Options{
		DB: s.db, Node: s.keeper(), Blobs: blobs, Bucket: retentionBucket(bucket), Keep: c.Record.Keep, MinFree: c.Record.MinFree, StreamMax: c.Record.StreamMax, DVR: c.HLS.DVR,
		Space: func() (free, total uint64, err error) { return diskSpace(c.DataDir) }, Now: now, Log: log,
	}
	if streams != nil {
		o.Shown = streams.Oldest
	}
	return retention.New(o)
}

// listedAtMost is how many of a kind are told one by one.
const listedAtMost = 20

// examineRecordings tells what retention would delete next, and where files and rows of sessions that are over do not agree.
func (d *doctor) examineRecordings(ctx context.Context) {
	const name = "recordings"
	place := databaseOptions(d.config, nil)
	if _, err := os.Stat(place.Path); place.Path != "" && err != nil {
		d.say(finding{name: name, text: "there are none yet"})
		return
	}
	fail := func(err error) {
		d.say(finding{name: name, text: err.Error(), fails: true, advice: "run mediad doctor --fix, then try again"})
	}
	database, err := db.Open(ctx, place)
	if err != nil {
		fail(err)
		return
	}
	defer database.Close()
	target, err := configs.ParseBlobURL(d.config.Blob.URL)
	if err != nil {
		fail(err)
		return
	}
	blobs, err := disk.Open(blobDir(d.config, target))
	if err != nil {
		fail(err)
		return
	}
	defer blobs.Close()
	var bucket blob.Store
	if target.Bucket != "" {
		store, err := s3.Open(ctx, bucketOptions(target, d.config))
		if err != nil {
			fail(err)
			return
		}
		defer store.Close()
		bucket = store
	}
	id, err := readNodeID(d.config.DataDir)
	if err != nil {
		fail(err)
		return
	}
	if id == "" {
		id = "none" // no server has run here: nothing on this disk is a node's
	}
	r := newRetention(d.config, &site{db: database, node: id}, blobs, bucket, nil, time.Now, nil)
	steps, err := r.Plan(ctx)
	if err != nil {
		fail(err)
		return
	}
	for _, s := range steps[:min(len(steps), listedAtMost)] {
		what := "session " + s.Session
		if s.Clip != "" {
			what = "clip " + s.Clip
		}
		if !s.Before.IsZero() {
			what += " before " + s.Before.UTC().Format(time.RFC3339)
		}
		d.say(finding{name: name, text: fmt.Sprintf("next to go: %s, %.1f MB, %s", what, float64(s.Bytes)/1e6, s.Why)})
	}
	d.say(finding{name: name, text: fmt.Sprintf("%d would go at the next sweep", len(steps))})
	o, err := r.Orphans(ctx)
	if err != nil {
		fail(err)
		return
	}
	d.sayOrphans(ctx, r, o)
	var videos *bucketVideos
	if bucket != nil && !o.Foreign {
		videos = &bucketVideos{db: database, blobs: blobs, bucket: bucket, now: time.Now, log: slog.New(slog.DiscardHandler)}
	}
	d.examinePlaylists(ctx, database, videos)
}

func (d *doctor) sayOrphans(ctx context.Context, r *retention.Retention, o retention.Orphans) {
	const name = "orphans"
	var bytes int64
	for i, f := range o.Files {
		bytes += f.Size
		if i < listedAtMost {
			d.say(finding{name: name, text: fmt.Sprintf("no row names %s, %.1f MB", f.Key, float64(f.Size)/1e6)})
		}
	}
	for _, l := range o.Rows[:min(len(o.Rows), listedAtMost)] {
		where := "are missing"
		if l.Elsewhere {
			where = "are in the bucket alone"
		}
		d.say(finding{name: name, text: fmt.Sprintf("segments %d to %d of %s, session %s, %s: %s is not there, or too short", l.First, l.Last, l.Rendition, l.Session, where, l.Key)})
	}
	for _, i := range o.Objects[:min(len(o.Objects), listedAtMost)] {
		d.say(finding{name: name, text: fmt.Sprintf("no row names the object %s, %.1f MB", i.Key, float64(i.Size)/1e6)})
	}
	for _, m := range o.Missing[:min(len(o.Missing), listedAtMost)] {
		d.say(finding{name: name, text: fmt.Sprintf("segment %d of %s, session %s, is not in the bucket as its row says: %s", m.MSN, m.Rendition, m.Session, m.Key)})
	}
	if d.verbose {
		for _, c := range o.Sessions {
			if c.Files == 0 { // all of it lies in the bucket, or with the session that a clip is of
				continue
			}
			d.say(finding{name: name, text: fmt.Sprintf("session or clip %s: %d segments, %.1f MB, in %d files", c.Session, c.Segments, float64(c.Bytes)/1e6, c.Files)})
		}
	}
	if o.StrangeCount > 0 {
		d.say(finding{name: name, text: fmt.Sprintf("%d objects in the bucket are not of mediad, and are left alone: %s", o.StrangeCount, few(o.Strange, o.StrangeCount))})
	}
	if o.Foreign {
		d.say(finding{name: name, text: "no row speaks of anything that is in the bucket", fails: true,
			advice: "is data_dir, database.url or blob.url (its prefix) another one's? Nothing is mended or deleted here; a bucket whose rows are lost can only be emptied by hand"})
		return
	}
	text := fmt.Sprintf("%d files without rows, %.1f MB; %d runs of segments without a file; %d objects without rows; %d segments missing in the bucket",
		len(o.Files), float64(bytes)/1e6, len(o.Rows), len(o.Objects), len(o.Missing))
	rest := notJudged(&o)
	switch {
	case o.None():
		d.say(finding{name: name, text: fmt.Sprintf("none: rows, files and bucket agree in %d sessions and clips", len(o.Sessions)) + rest})
	case !d.fix:
		d.say(finding{name: name, text: text + rest, advice: "mediad doctor --orphans --fix deletes these files and objects, stores again, or reads, from the other place what one of disk and bucket has lost, " +
			"and lets replays go on without what is nowhere"})
	default:
		if err := r.Mend(ctx, o); err != nil {
			d.say(finding{name: name, text: err.Error(), fails: true, advice: "try again"})
			return
		}
		d.say(finding{name: name, text: "mended: " + text + rest})
	}
}

// notJudged says what was left out, as its rows or files may be on their way.
func notJudged(o *retention.Orphans) string {
	text := ""
	if o.Young > 0 {
		text += fmt.Sprintf("; %d objects and files without rows, younger than %d minutes, not judged", o.Young, int(retention.Young.Minutes()))
	}
	if o.Going > 0 {
		text += fmt.Sprintf("; %d sessions that are on or just over not judged", o.Going)
	}
	return text
}

// few names some, and that there are more.
func few(some []string, of int) string {
	text := strings.Join(some[:min(len(some), 5)], ", ")
	if of > 5 {
		text += ", …"
	}
	return text
}
