package db

import (
	"database/sql"
	"errors"
	"time"

	"gorm.io/gorm"
)

const statementBegan = "mediad:began"

// measureStatements tells measure how long statements took, by verb and table. A statement without a model has no table.
func measureStatements(g *gorm.DB, measure func(op, table string, took time.Duration)) error {
	if measure == nil {
		return nil
	}
	begin := func(g *gorm.DB) { g.InstanceSet(statementBegan, time.Now()) }
	end := func(op string) func(*gorm.DB) {
		return func(g *gorm.DB) {
			if began, ok := g.InstanceGet(statementBegan); ok {
				measure(op, g.Statement.Table, time.Since(began.(time.Time)))
			}
		}
	}
	c := g.Callback()
	const before, after = "mediad:begin", "mediad:end"
	return errors.Join(
		c.Query().Before("gorm:query").Register(before, begin), c.Query().After("gorm:query").Register(after, end("select")),
		c.Create().Before("gorm:create").Register(before, begin), c.Create().After("gorm:create").Register(after, end("insert")),
		c.Update().Before("gorm:update").Register(before, begin), c.Update().After("gorm:update").Register(after, end("update")),
		c.Delete().Before("gorm:delete").Register(before, begin), c.Delete().After("gorm:delete").Register(after, end("delete")),
		c.Raw().Before("gorm:raw").Register(before, begin), c.Raw().After("gorm:raw").Register(after, end("raw")),
		c.Row().Before("gorm:row").Register(before, begin), c.Row().After("gorm:row").Register(after, end("select")),
	)
}

// Pool is how the connections stand that statements run on.
type Pool struct {
	InUse, Idle int
	// Waits is how often somebody had to wait for one since the start, and Waited for how long altogether.
	Waits  int64
	Waited time.Duration
}

// Pool adds up the connections for reads and for writes.
func (d *DB) Pool() Pool {
	var p Pool
	for _, pool := range []*sql.DB{d.reads, d.writes} {
		s := pool.Stats()
		p.InUse, p.Idle, p.Waits, p.Waited = p.InUse+s.InUse, p.Idle+s.Idle, p.Waits+s.WaitCount, p.Waited+s.WaitDuration
	}
	return p
}
