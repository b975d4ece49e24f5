package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"mediad/store/db"
)

const (
	// clockTolerance is how far the clocks of a node and its database may differ: leases last 5 s, and nodes compare times.
	clockTolerance = 500 * time.Millisecond
	// databasePatience is for all that is asked of the database together.
	databasePatience = 20 * time.Second
)

func (d *doctor) examineDatabase(ctx context.Context) {
	const name = "database"
	o := databaseOptions(d.config, nil)
	if _, err := os.Stat(o.Path); o.Path != "" && errors.Is(err, os.ErrNotExist) && !d.fix {
		d.say(finding{name: name, text: "is made at the first start"})
		return
	}
	ctx, cancel := context.WithTimeout(ctx, databasePatience)
	defer cancel()
	database, err := db.Open(ctx, o)
	if err != nil {
		advice := "restore a backup, or move the file away to begin anew"
		if o.URL != "" {
			advice = "look at host, port, name, user and password in database.url, at sslmode, and at the server's log and pg_hba.conf"
		}
		d.say(finding{name: name, text: err.Error(), fails: true, advice: advice})
		return
	}
	defer database.Close()
	server, err := database.Server(ctx)
	if err != nil {
		d.say(finding{name: name, text: err.Error(), fails: true, advice: "look at the server's log"})
		return
	}
	if move, there, err := database.Moving(ctx); err == nil && there {
		d.say(finding{name: name, text: "has a part of a site: rows are being moved into it from " + move.Source, fails: true,
			advice: "make the same mediad copy or mediad restore again, which goes on; or empty the database"})
		return
	}
	if d.fix {
		if _, err := database.MigrateUp(ctx); err != nil {
			d.say(finding{name: name, text: err.Error(), fails: true, advice: "restore a backup, then report this"})
			return
		}
	}
	all, err := database.Migrations(ctx)
	if err != nil {
		d.say(finding{name: name, text: err.Error(), fails: true, advice: "mediad migrate status tells more"})
		return
	}
	pending := 0
	for _, m := range all {
		if m.AppliedAt.IsZero() {
			pending++
		}
	}
	text := server.Name + " answers"
	if o.URL != "" {
		protected := "not encrypted"
		if server.Encrypted {
			protected = "encrypted"
		}
		text = fmt.Sprintf("%s at %s answers within %s, %s", server.Name, database.Where(), server.Took.Round(10*time.Microsecond), protected)
	}
	if pending > 0 {
		d.say(finding{name: name, text: fmt.Sprintf("%s; %d migrations are pending", text, pending), advice: "the next start applies them, or run mediad migrate up"})
	} else {
		d.say(finding{name: name, text: text + ", schema up to date"})
	}
	if o.URL != "" {
		d.sayClock(server)
		d.examineReplicas(ctx, database)
	}
}

func (d *doctor) sayClock(server db.Server) {
	f := finding{name: "database", text: fmt.Sprintf("its clock differs by %s", server.ClockAhead.Abs().Round(100*time.Microsecond))}
	if server.ClockAhead.Abs() > clockTolerance+server.Took/2 {
		f.advice = "let NTP set both clocks: leases and times of different machines are compared"
	}
	d.say(f)
}

// examineReplicas gives the replicas the time to be asked some times.
func (d *doctor) examineReplicas(ctx context.Context, database *db.DB) {
	if len(d.config.Database.Replicas) == 0 {
		return
	}
	watching, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	go func() {
		defer cancel()
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for watching.Err() == nil {
			used := 0
			for _, r := range database.Replicas() {
				if r.Used {
					used++
				}
			}
			if used == len(d.config.Database.Replicas) {
				return
			}
			select {
			case <-watching.Done():
			case <-tick.C:
			}
		}
	}()
	_ = database.Watch(watching) // ends with its context
	for _, r := range database.Replicas() {
		f := finding{name: "replica", text: r.Where + " keeps up"}
		switch {
		case r.Used:
		case r.Behind < 0:
			f.text, f.advice = r.Where+" does not answer, or is no hot standby of database.url", "look at its URL and its log; until then all is read from the primary"
		default:
			f.text, f.advice = fmt.Sprintf("%s is %s behind", r.Where, r.Behind.Round(time.Millisecond)), "look at the load and the network of the standby; until then all is read from the primary"
		}
		d.say(f)
	}
}
