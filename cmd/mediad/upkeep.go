package main

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"

	"mediad/api/play"
	"mediad/api/upkeep"
	"mediad/store/backup"
	"mediad/store/job"
	"mediad/store/retention"
)

const (
	// backupsFolder is where backups lie that were asked for over the API, in the data folder: nothing of it is served.
	backupsFolder = "backups"
	// backupsKept is how many of them stay.
	backupsKept = 7
)

// eraseDue erases the accounts whose time is over.
func (s *site) eraseDue(ctx context.Context) (int64, error) {
	return s.accounts.EraseDue(ctx, s.objects.Drop)
}

// upkeepParts are what sweeps the site, and backs it up. Recordings are those of this node; all else is the whole site's.
func (n *node) upkeepParts(recordings *retention.Retention, plays *play.Service) upkeep.Parts {
	s := n.site
	const rows = "rows"
	return upkeep.Parts{
		Sweeps: []upkeep.Sweep{
			{Name: "recordings on the disk that are in the bucket", Unit: "bytes", Do: recordings.Evict}, // what it frees need not be freed by deleting
			{Name: "recordings", Unit: "bytes", Do: recordings.Sweep},
			{Name: "accounts that were to be erased", Unit: "accounts", Do: s.eraseDue},
			{Name: "sessions, codes and failed logins that have expired", Unit: rows, Do: s.auth.Sweep},
			{Name: "answers kept for calls that are repeated", Unit: rows, Do: s.once.Sweep},
			{Name: "nonces of signed requests", Unit: rows, Do: s.keys.Sweep},
			{Name: "old plays, and networks of old views", Unit: rows, Do: plays.Clean},
			{Name: "events that were handed on", Unit: rows, Do: s.events.Tidy},
			{Name: "old deliveries of webhooks", Unit: rows, Do: s.webhooks.Tidy},
			{Name: "old alerts", Unit: rows, Do: s.alerts.Tidy},
			{Name: "pictures and exports that nobody needs", Unit: "objects", Do: s.objects.Sweep}, // last: accounts have let go of some
		},
		Backup: n.backUp,
	}
}

// backUp makes a backup of all rows into the folder of backups, for a job.
func (n *node) backUp(ctx context.Context, j *job.Job) error {
	here := place{side: "site", config: n.config, db: n.site.db}
	folder := backup.Folder{
		Dir: filepath.Join(n.config.DataDir, backupsFolder), Keep: backupsKept, Now: n.now,
		Free: func() (uint64, error) {
			free, _, err := diskSpace(filepath.Join(n.config.DataDir, backupsFolder))
			return free, err
		},
	}
	needs, err := n.site.db.Size(ctx)
	if err != nil {
		return err
	}
	o, err := here.backupOfRows(ctx)
	if err != nil {
		return err
	}
	defer o.Rows.Close()
	tables := 0
	o.Progress = func(string, int64) {
		tables++
		j.Progress(tables*100/len(o.Rows.Schema().Tables), 0)
	}
	name, head, manifest, err := folder.Make(ctx, strconv.FormatInt(j.ID, 10), needs, o)
	if errors.Is(err, backup.ErrNoRoom) {
		return job.Fail("no_room", err) // another try in a few seconds finds the same
	}
	if err != nil {
		return err
	}
	rows := int64(0)
	for _, t := range manifest.Tables {
		rows += t.Rows
	}
	j.Logf("%s: %d rows in %d tables, of %s", filepath.Join(backupsFolder, name), rows, len(head.Tables), head.MadeAt.Format("2006-01-02 15:04:05 MST"))
	if len(head.Keys) > 0 {
		j.Logf("the master key is not in it: keep secrets/master.key, or secret_key, elsewhere")
	}
	gone, err := folder.Trim(name)
	if gone > 0 {
		j.Logf("older backups deleted: %d", gone)
	}
	if err != nil { // there is a backup, which is what was asked for
		n.log.Warn("older backups are not deleted", "error", err)
		j.Logf("older backups are not deleted: %v", err)
	}
	return nil
}
