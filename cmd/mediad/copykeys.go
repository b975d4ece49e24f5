package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"mediad/api/account"
	"mediad/api/reseal"
	"mediad/store/db/transfer"
)

// mayRead says why the target could not read what is sealed in the source's rows. secrets: the files of the source's secrets are there by then.
func mayRead(ctx context.Context, rows *transfer.Snapshot, from, to *place, secrets bool) error {
	ids, err := transfer.SealedBy(ctx, rows)
	if err != nil {
		return err
	}
	missing, err := to.missingKeys(ids)
	if err != nil || len(missing) == 0 {
		return err
	}
	if secrets {
		config := *to.config
		config.DataDir = from.config.DataDir
		with := &place{side: to.side, config: &config}
		brought, err := with.missingKeys(missing)
		if err != nil || len(brought) == 0 {
			return err
		}
		missing = brought
	}
	advice := "add --secrets, or copy " + filepath.Join(from.secrets(), "master.key") + " there"
	if from.config.SecretKey != "" {
		advice = "set secret_key of the target to that of the source, and add --secrets where the source has keys in a file as well"
	}
	return errKeys(missing, to, advice)
}

// openSealed opens everything that is sealed in the place's rows, and says how much that is. It fails where the place's own master keys do
// not open it: what cannot be read here is of no use elsewhere either.
func (p *place) openSealed(ctx context.Context, rows *transfer.Snapshot) (int, error) {
	ids, err := transfer.SealedBy(ctx, rows)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	missing, err := p.missingKeys(ids)
	if err == nil && len(missing) > 0 {
		err = errKeys(missing, p, "bring that file back, or set secret_key to what the site was served with")
	}
	if err != nil {
		return 0, err
	}
	ring, err := p.ring()
	if err != nil {
		return 0, err
	}
	columns := sealedColumns(account.New(account.Options{DB: p.db, Secrets: ring}))
	columns = slices.DeleteFunc(columns, func(c reseal.Column) bool { return !hasColumn(rows, c) }) // the site may be of an older version
	opened, lost, err := reseal.New(reseal.Options{DB: p.db, Secrets: ring, Columns: columns}).Check(ctx)
	if err == nil && lost > 0 {
		err = fmt.Errorf("%d of %d sealed values cannot be opened, though their master key is there: rows were altered, or moved by hand", lost, lost+opened)
	}
	return opened, err
}

func hasColumn(rows *transfer.Snapshot, c reseal.Column) bool {
	return slices.ContainsFunc(rows.Schema().Tables, func(t transfer.Table) bool {
		return t.Name == c.Table && slices.ContainsFunc(t.Columns, func(one transfer.Column) bool { return one.Name == c.Column })
	})
}

// planKeys says of a copy that is only planned whether both sides could read what is sealed.
func (p *program) planKeys(ctx context.Context, rows *transfer.Snapshot, from, to *place, secrets bool) error {
	opened, err := from.openSealed(ctx, rows)
	if err != nil {
		return fmt.Errorf("source: %w", err)
	}
	fmt.Fprintf(p.stdout, "sealed: %d values, which the source's master key opens\n", opened)
	if err := mayRead(ctx, rows, from, to, secrets); err != nil {
		return fmt.Errorf("target: %w", err)
	}
	return nil
}
