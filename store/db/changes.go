package db

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"gorm.io/gorm"
)

// Change names a row of users or streams that was made, changed or deleted.
type Change struct {
	Table string
	ID    string // "": any row of the table may have been
}

// changes are what one transaction changed.
type changes struct {
	rows []Change
	// foreign: somebody else ends the transaction, and nobody here would hear of it.
	foreign bool
}

// maxChanges single rows are told of a transaction; where there are more it is all rows of the table.
const maxChanges = 12

func (c *changes) add(change Change) {
	if slices.Contains(c.rows, change) || slices.Contains(c.rows, Change{Table: change.Table}) {
		return
	}
	if change.ID == "" || len(c.rows) >= maxChanges {
		c.rows = slices.DeleteFunc(c.rows, func(one Change) bool { return one.Table == change.Table })
		change.ID = ""
	}
	c.rows = append(c.rows, change)
}

type changesKey struct{}

// rowOf is the setting with which a statement names the one row that it is about. Of one without all rows are forgotten.
const rowOf = "mediad:row"

// user and stream begin a statement about one row.
func (q Queries) user(id string) *gorm.DB {
	return q.g.Set(rowOf, id).Model(&User{}).Where("id = ?", id)
}

func (q Queries) stream(id string) *gorm.DB {
	return q.g.Set(rowOf, id).Model(&Stream{}).Where("id = ?", id)
}

// noteChanges has every statement that changes rows that are remembered noted, so that no writer has to think of it.
func (d *DB) noteChanges() error {
	c := d.write.Callback()
	return errors.Join(
		c.Create().After("gorm:create").Register("mediad:changed", d.noteChange),
		c.Update().After("gorm:update").Register("mediad:changed", d.noteChange),
		c.Delete().After("gorm:delete").Register("mediad:changed", d.noteChange),
		c.Raw().After("gorm:raw").Register("mediad:changed", d.noteChange),
	)
}

func (d *DB) noteChange(g *gorm.DB) {
	table := g.Statement.Table
	if table == "" {
		table = written(g.Statement.SQL.String())
	}
	if table == (StreamTag{}).TableName() {
		table = Stream{}.TableName()
	}
	if table != (User{}).TableName() && table != (Stream{}).TableName() || g.Error == nil && g.RowsAffected == 0 {
		return
	}
	change := Change{Table: table, ID: changedRow(g)}
	switch in, _ := g.Statement.Context.Value(changesKey{}).(*changes); {
	case in == nil: // it is stored by itself
		d.changed(g.Statement.Context, []Change{change})
	case in.foreign:
		_ = g.AddError(fmt.Errorf("db: %s is changed in a transaction of which nobody hears", table))
	default:
		in.add(change)
	}
}

func changedRow(g *gorm.DB) string {
	if id, ok := g.Get(rowOf); ok {
		return id.(string)
	}
	switch made := g.Statement.Dest.(type) {
	case *User:
		return made.ID
	case *Stream:
		return made.ID
	case *[]StreamTag:
		return (*made)[0].StreamID // those of one stream
	}
	return ""
}

var writing = regexp.MustCompile(`^(?:UPDATE|INSERT INTO|DELETE FROM) (users|streams|stream_tags)\b`)

// written is the table that a statement of our own words changes; "": none that is remembered.
func written(statement string) string {
	if found := writing.FindStringSubmatch(statement); found != nil {
		return found[1]
	}
	return ""
}

// changed forgets rows, and tells the other nodes. Whoever made the change is answered afterwards.
func (d *DB) changed(ctx context.Context, rows []Change) {
	for _, row := range rows {
		d.Forget(row)
	}
	if d.tell != nil && len(rows) > 0 {
		d.tell(context.WithoutCancel(ctx), rows)
	}
}

// Forget drops what is remembered of a row that another node changed; the zero Change: of all rows.
func (d *DB) Forget(c Change) {
	if c.Table == "" || c.Table == (User{}).TableName() {
		forget(d.memory.users, c.ID)
	}
	if c.Table == "" || c.Table == (Stream{}).TableName() {
		forget(d.memory.streams, c.ID)
	}
}

func forget(rows interface {
	Drop(id string)
	DropAll()
}, id string,
) {
	if id == "" {
		rows.DropAll()
		return
	}
	rows.Drop(id)
}

// lookEvery is how often a SQLite file is looked at for what other processes wrote.
const lookEvery = 400 * time.Millisecond

// watchFile forgets all rows when another process, as the command line is one, has written to the file. It asks on the connection that this
// process writes by, whose own changes the number does not count.
func (d *DB) watchFile(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var last int64
	for ctx.Err() == nil {
		var version int64
		err := d.writes.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version)
		if err != nil || version != last {
			d.Forget(Change{})
		}
		last = version
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
