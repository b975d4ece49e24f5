package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v3"

	"mediad/store/db"
)

func (p *program) migrateCommand() *cli.Command {
	open := func(run func(ctx context.Context, d *db.DB) error) cli.ActionFunc {
		return noArguments(func(ctx context.Context, c *cli.Command) error {
			loaded, err := p.load(c)
			if err != nil {
				return err
			}
			if loaded.PostgresURL() == "" {
				if err := os.MkdirAll(loaded.DataDir, 0o700); err != nil {
					return err
				}
			}
			d, err := db.Open(ctx, databaseOptions(loaded.Config, nil))
			if err != nil {
				return err
			}
			defer d.Close()
			return run(ctx, d)
		})
	}
	return group("migrate", "bring the database's schema up to date (a start of the server does it too)",
		&cli.Command{Name: "up", Usage: "apply what is pending", Action: open(func(ctx context.Context, d *db.DB) error {
			applied, err := d.MigrateUp(ctx)
			if err != nil {
				return err
			}
			for _, m := range applied {
				fmt.Fprintf(p.stdout, "applied  %04d %s\n", m.Version, m.Name)
			}
			if len(applied) == 0 {
				fmt.Fprintln(p.stdout, "nothing to do")
			}
			return nil
		})},
		&cli.Command{Name: "status", Usage: "list every migration", Action: open(func(ctx context.Context, d *db.DB) error {
			all, err := d.Migrations(ctx)
			if err != nil {
				return err
			}
			for _, m := range all {
				state := "pending"
				if !m.AppliedAt.IsZero() {
					state = m.AppliedAt.Format(time.RFC3339)
				}
				fmt.Fprintf(p.stdout, "%04d  %-28s %s\n", m.Version, m.Name, state)
			}
			return nil
		})},
	)
}
