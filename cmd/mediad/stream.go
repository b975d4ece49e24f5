package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v3"

	"mediad/api/stream"
	"mediad/store/db"
)

func (p *program) streamCommand() *cli.Command {
	quiet := &cli.BoolFlag{Name: "quiet", Usage: "print the key alone"}
	return group("stream", "manage streams and their keys",
		&cli.Command{Name: "create", Usage: "make a stream and its key, which is shown once",
			Flags: []cli.Flag{quiet,
				&cli.StringFlag{Name: "slug", Usage: "the stream's `NAME` in URLs, [a-z0-9-]{3,40}; without it a random one"},
				&cli.StringFlag{Name: "title", Usage: "`TITLE` that viewers see"},
				&cli.StringFlag{Name: "owner", Usage: "`USERNAME` of its owner; the first admin without it"},
				&cli.StringFlag{Name: "visibility", Usage: "public, unlisted (by link, in no list), followers or private", Value: "public"},
				&cli.BoolFlag{Name: "if-missing", Usage: "do nothing if there is a stream of that name"},
			},
			Action: p.createStream},
		&cli.Command{Name: "list", Usage: "list the streams", Action: noArguments(p.listStreams)},
		p.streamHealthCommand(),
		p.obsConfigCommand(),
		&cli.Command{Name: "rotate-key", Usage: "give a stream a new key, shown once; the old ones die", ArgsUsage: "STREAM",
			Flags: []cli.Flag{quiet, &cli.DurationFlag{Name: "grace", Usage: "how long the old keys still work, up to 1h (`DURATION`)"}},
			Action: p.siteAction("STREAM", func(ctx context.Context, c *cli.Command, s *site, name string) error {
				_, secret, err := s.streams.RotateKey(ctx, name, stream.Rotate{Grace: c.Duration("grace")})
				var invalid *stream.Invalid
				if errors.As(err, &invalid) {
					return usageError{err}
				}
				if err != nil {
					return err
				}
				p.printKey(c, name, secret)
				return nil
			})},
	)
}

func (p *program) printKey(c *cli.Command, name, secret string) {
	if c.Bool("quiet") {
		fmt.Fprintln(p.stdout, secret)
		return
	}
	fmt.Fprintf(p.stdout, "stream  %s\nkey     %s   (shown once)\n", name, secret)
}

func (p *program) createStream(ctx context.Context, c *cli.Command) error {
	if c.Args().Present() {
		return usagef("stream create takes flags, no arguments: --slug %s", c.Args().First())
	}
	loaded, err := p.load(c)
	if err != nil {
		return err
	}
	return p.withSite(ctx, loaded, func(s *site) error {
		owner, err := p.owner(ctx, s, c.String("owner"))
		if err != nil {
			return err
		}
		wanted := stream.Create{OwnerID: owner.ID, Slug: c.String("slug"), Title: c.String("title"), Visibility: c.String("visibility")}
		var created stream.Created
		made := true
		if c.Bool("if-missing") {
			created, made, err = s.streams.Ensure(ctx, wanted)
		} else {
			created, err = s.streams.Create(ctx, wanted)
		}
		var invalid *stream.Invalid
		if errors.As(err, &invalid) {
			return usageError{err}
		}
		if err != nil {
			return err
		}
		if !made {
			fmt.Fprintf(p.stdout, "stream  %s   (was there; mediad stream rotate-key %s makes a new key)\n", wanted.Slug, wanted.Slug)
			return nil
		}
		p.printKey(c, created.Stream.Slug, created.Secret)
		return nil
	})
}

func (p *program) owner(ctx context.Context, s *site, name string) (db.User, error) {
	if name == "" {
		return s.accounts.FirstAdmin(ctx)
	}
	return s.accounts.Find(ctx, name)
}

func (p *program) listStreams(ctx context.Context, c *cli.Command) error {
	loaded, err := p.load(c)
	if err != nil {
		return err
	}
	return p.withSite(ctx, loaded, func(s *site) error {
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "STREAM\tKEY\tVISIBILITY\tTITLE\tMADE")
		const page = 100
		for before := ""; ; {
			streams, err := s.streams.All(ctx, before, page)
			if err != nil {
				return err
			}
			for _, one := range streams {
				hint := "none"
				key, err := s.streams.LiveKey(ctx, one.ID)
				switch {
				case err == nil:
					hint = "…" + key.Hint
				case !errors.Is(err, stream.ErrNotFound):
					return err
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", one.Slug, hint, one.Visibility, one.Title, one.CreatedAt.Time().Format(time.DateOnly))
				before = one.ID
			}
			if len(streams) < page {
				return w.Flush()
			}
		}
	})
}
