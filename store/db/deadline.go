package db

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
)

const statementCancel = "mediad:cancel"

// bounded is what a statement's context was, and how to let go of what it became.
type bounded struct {
	before context.Context //nolint:containedctx // given back to the statement as soon as it has run
	cancel context.CancelFunc
}

// boundStatements gives every statement a deadline, for callers without one of their own: a server that stops answering
// must not keep anybody for ever. It lets go of it once the rows are read, which gorm does within the callback.
func boundStatements(g *gorm.DB) error {
	c := g.Callback()
	return errors.Join(
		c.Query().Before("gorm:query").Register("mediad:bound", bound),
		c.Query().After("gorm:query").Register("mediad:unbound", unbound),
		c.Create().Before("gorm:create").Register("mediad:bound", bound),
		c.Create().After("gorm:create").Register("mediad:unbound", unbound),
		c.Update().Before("gorm:update").Register("mediad:bound", bound),
		c.Update().After("gorm:update").Register("mediad:unbound", unbound),
		c.Delete().Before("gorm:delete").Register("mediad:bound", bound),
		c.Delete().After("gorm:delete").Register("mediad:unbound", unbound),
		c.Raw().Before("gorm:raw").Register("mediad:bound", bound),
		c.Raw().After("gorm:raw").Register("mediad:unbound", unbound),
		c.Row().Before("gorm:row").Register("mediad:bound", boundRows),
	)
}

func bound(g *gorm.DB) {
	if at, ok := g.Statement.Context.Deadline(); ok && time.Until(at) <= statementLimit {
		return
	}
	ctx, cancel := context.WithTimeout(g.Statement.Context, statementLimit)
	g.InstanceSet(statementCancel, bounded{g.Statement.Context, cancel})
	g.Statement.Context = ctx
}

func unbound(g *gorm.DB) {
	if was, ok := g.InstanceGet(statementCancel); ok {
		was := was.(bounded)
		was.cancel()
		g.Statement.Context = was.before
	}
}

// boundRows is bound for statements whose rows are read after gorm is done, as Rows and Scan do: nobody says when, so the
// deadline is let go of when it has passed.
func boundRows(g *gorm.DB) {
	ctx, cancel := context.WithTimeout(g.Statement.Context, statementLimit)
	time.AfterFunc(statementLimit, cancel)
	g.Statement.Context = ctx
}
