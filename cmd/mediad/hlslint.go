package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/urfave/cli/v3"

	"mediad/packager/hlslint"
)

func (p *program) hlslintCommand() *cli.Command {
	return &cli.Command{Name: "hlslint", Usage: "judge any HLS or LL-HLS origin against the specification", ArgsUsage: "URL",
		Description: "Polls a live stream as players do, fetches its media, and reports each rule that is broken with its section and\n" +
			"evidence. Exit code 0: no MUST is broken; 1: one is (with --strict a SHOULD as well), or the URL gives no playlist; 2: usage.",
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "duration", Usage: "how long to watch a live origin", Value: 20 * time.Second},
			&cli.Int64Flag{Name: "max-bytes", Usage: "stop after `BYTES` of media", Value: 1 << 30},
			&cli.BoolFlag{Name: "strict", Usage: "a SHOULD counts too"},
			&cli.BoolFlag{Name: "authoring", Usage: "also Apple's rules on the choice of content"},
			&cli.BoolFlag{Name: "json", Usage: "print JSON"},
			&cli.BoolFlag{Name: "insecure", Usage: "accept any certificate"},
			&cli.BoolFlag{Name: "verbose", Usage: "log each request"},
			&cli.StringSliceFlag{Name: "only", Usage: "judge only these `RULES`"},
			&cli.StringSliceFlag{Name: "ignore", Usage: "leave these `RULES` out"},
		},
		Action: func(ctx context.Context, c *cli.Command) error {
			if c.Args().Len() != 1 {
				return usagef("hlslint needs one URL")
			}
			o := hlslint.Options{
				URL: c.Args().First(), Duration: c.Duration("duration"), MaxBytes: c.Int64("max-bytes"), Insecure: c.Bool("insecure"), Strict: c.Bool("strict"),
				Authoring: c.Bool("authoring"), OnlyRules: c.StringSlice("only"), IgnoreRules: c.StringSlice("ignore"),
			}
			if c.Bool("verbose") {
				o.Log = slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
			}
			report, err := hlslint.Run(ctx, o)
			if err != nil {
				if errors.Is(err, hlslint.ErrUsage) {
					return usageError{err}
				}
				return err
			}
			if c.Bool("json") {
				err = report.WriteJSON(p.stdout)
			} else {
				err = report.WriteText(p.stdout)
			}
			if err != nil {
				return err
			}
			if code := report.ExitCode(); code != exitOK {
				return exitError(code)
			}
			return nil
		}}
}
