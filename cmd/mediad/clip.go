package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"mediad/api/video"
	"mediad/configs"
	"mediad/store/blob/disk"
	"mediad/store/blob/s3"
)

// clipCommand makes clips. It works beside a running server, by what both share: the rows that are there a second after each segment, and the
// folder with the segments. What it makes, the server finds in the rows as soon as somebody asks for it.
func (p *program) clipCommand() *cli.Command {
	return &cli.Command{Name: "clip", Usage: "make a clip of a broadcast that is on air, or of its replay, exact to the frame", ArgsUsage: "STREAM",
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "duration", Usage: "its length, 5s to 2m", Value: 30 * time.Second},
			&cli.DurationFlag{Name: "end", Usage: "where it ends, `TIME` since the broadcast began, such as 1h2m3.5s; without it, with the newest that is stored"},
			&cli.StringFlag{Name: "session", Usage: "`ID` of the broadcast; the stream's newest without it"},
			&cli.StringFlag{Name: "title", Usage: "`TITLE` that viewers see; the stream's without it"},
			&cli.BoolFlag{Name: "quiet", Usage: "print the video's id alone"},
		},
		Action: func(ctx context.Context, c *cli.Command) error {
			if c.Args().Len() != 1 {
				return usagef("%s needs one argument: STREAM", c.FullName())
			}
			loaded, err := p.load(c)
			if err != nil {
				return err
			}
			return p.withSite(ctx, loaded, func(s *site) error { return p.clip(ctx, c, loaded.Config, s) })
		}}
}

func (p *program) clip(ctx context.Context, c *cli.Command, config *configs.Config, s *site) error {
	of, err := s.streams.Find(ctx, c.Args().First())
	if err != nil {
		return err
	}
	wanted := video.Clip{StreamID: of.ID, SessionID: c.String("session"), DurationMS: c.Duration("duration").Milliseconds(), Title: c.String("title")}
	if c.IsSet("end") {
		end := c.Duration("end").Milliseconds()
		wanted.EndMS = &end
	}
	level := new(slog.LevelVar)
	level.Set(slog.LevelWarn)
	cutter, closeStores, err := openCutter(ctx, config, s, newLogger(p.stderr, "text", level))
	if err != nil {
		return err
	}
	defer closeStores()
	v, err := s.videos.CreateClip(ctx, cutter, wanted)
	var invalid *video.InvalidError
	if errors.As(err, &invalid) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	if c.Bool("quiet") {
		fmt.Fprintln(p.stdout, v.ID)
		return nil
	}
	site := strings.TrimSuffix(config.Site.PublicURL, "/")
	if site == "" {
		fmt.Fprintln(p.stderr, "mediad: site.public_url is empty: what follows are paths on this server, without its address")
	}
	fmt.Fprintf(p.stdout, "clip    %s   (%s)\nwatch   %s/video/%s\nHLS     %s/vod/%s/index.m3u8\n", v.ID, time.Duration(v.DurationMS)*time.Millisecond, site, v.ID, site, v.ID)
	return nil
}

// openCutter opens where media is for a command that runs beside the server.
func openCutter(ctx context.Context, config *configs.Config, s *site, log *slog.Logger) (clipCutter, func(), error) {
	c := clipCutter{db: s.db, node: s.keeper(), log: log}
	target, err := configs.ParseBlobURL(config.Blob.URL)
	if err != nil {
		return c, nil, fmt.Errorf("blob.url %w", err)
	}
	local, err := disk.Open(blobDir(config, target))
	if err != nil {
		return c, nil, fmt.Errorf("data_dir: %w", err)
	}
	c.local = local
	closeAll := func() { _ = local.Close() }
	if target.Bucket == "" {
		return c, closeAll, nil
	}
	bucket, err := s3.Open(ctx, bucketOptions(target, config))
	if err != nil {
		closeAll()
		return c, nil, fmt.Errorf("blob.url: %w", err)
	}
	c.bucket = bucket
	return c, func() { _, _ = bucket.Close(), local.Close() }, nil
}
