package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"mediad/configs"
)

// finding is what one check has to say.
type finding struct {
	name string
	text string
	// advice is what to do about it; empty when all is well.
	advice string
	// fails counts against the exit code; advice alone is a warning.
	fails bool
}

func (p *program) doctorCommand() *cli.Command {
	return &cli.Command{Name: "doctor", Usage: "check FFmpeg, ports, database, Redis, bucket, disk, clock, advertised URLs, hooks and sources; say what to do",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "fix", Usage: "make what is missing: the data folder, the database schema, the bucket and its CORS rules"},
			&cli.BoolFlag{Name: "orphans", Usage: "list which recordings would go next and why (a dry run of retention), and where rows, files and bucket do not agree; " +
				"--fix mends that. Not judged is what is younger than 15 minutes and has no row, and sessions that are on or have been over for less than an hour; told and never deleted " +
				"is what is in the bucket and not of mediad"},
			&cli.BoolFlag{Name: "verbose", Usage: "with --orphans: also name what is well"},
			&cli.BoolFlag{Name: "ready", Usage: "only ask the running server whether it is ready; for health checks of containers"},
		},
		Action: noArguments(func(ctx context.Context, c *cli.Command) error {
			loaded, err := p.load(c)
			if err != nil {
				return err
			}
			if c.Bool("ready") {
				return askReady(ctx, loaded.Config)
			}
			d := &doctor{config: loaded.Config, fix: c.Bool("fix"), verbose: c.Bool("verbose"), file: c.String("config")}
			edge := slices.Contains(rolesOf(c), edgeRole)
			if edge && c.Bool("orphans") {
				return usagef("an edge has no recordings: mediad doctor --orphans is for its origin")
			}
			if edge {
				d.examineEdge(ctx)
			} else {
				d.examine(ctx)
			}
			if c.Bool("orphans") {
				d.examineRecordings(ctx)
			}
			failed := false
			for _, f := range d.findings {
				mark := "ok  "
				if f.advice != "" {
					mark = "warn"
				}
				if f.fails {
					mark, failed = "FAIL", true
				}
				fmt.Fprintf(p.stdout, "%s  %-10s %s\n", mark, f.name, f.text)
				if f.advice != "" {
					fmt.Fprintf(p.stdout, "                 → %s\n", f.advice)
				}
			}
			for _, note := range loaded.Notes {
				fmt.Fprintf(p.stdout, "note  %s\n", note)
			}
			if failed {
				return exitError(exitFailure)
			}
			return nil
		})}
}

type doctor struct {
	config   *configs.Config
	file     string
	fix      bool
	verbose  bool
	findings []finding
}

func (d *doctor) say(f finding) { d.findings = append(d.findings, f) }

func (d *doctor) examineConfig() {
	file := d.file
	if file == "" {
		file = "none, defaults and environment"
	}
	d.say(finding{name: "config", text: file})
}

func (d *doctor) examine(ctx context.Context) {
	d.examineConfig()
	d.examineFFmpeg(ctx)
	d.examineData()
	d.examineDisk()
	d.examineDatabase(ctx)
	d.examineRedis(ctx)
	d.examineBucket(ctx)
	running := askReady(ctx, d.config) == nil
	d.examinePorts(running)
	d.examineTLS()
	d.examineClock()
	d.examineURLs(ctx, running)
	d.examineIngest(ctx, running)
	d.examineHooks(ctx)
	d.examineSources(ctx)
	d.examineForwards(ctx)
}

func (d *doctor) examineFFmpeg(ctx context.Context) {
	const name = "ffmpeg"
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ffmpeg", "-hide_banner", "-encoders").Output()
	if err != nil {
		d.say(finding{name: name, text: "not found or not running", fails: true,
			advice: "install it (Debian: apt-get install ffmpeg); without it live passes through untouched, but nothing is transcoded"})
		return
	}
	var missing []string
	for _, encoder := range []string{"libx264", "aac", "libopus"} {
		if !strings.Contains(string(out), " "+encoder+" ") {
			missing = append(missing, encoder)
		}
	}
	if len(missing) > 0 {
		d.say(finding{name: name, text: "lacks " + strings.Join(missing, ", "), advice: "install a build with these encoders"})
		return
	}
	d.say(finding{name: name, text: "found, with libx264, aac and libopus"})
}

func (d *doctor) examineData() {
	const name = "data"
	dir := d.config.DataDir
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	made := ""
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) && d.fix {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			d.say(finding{name: name, text: err.Error(), fails: true, advice: "make the folder by hand and give it to the user that runs mediad"})
			return
		}
		made = "was made and "
	} else if errors.Is(err, os.ErrNotExist) {
		d.say(finding{name: name, text: dir + " does not exist yet", advice: "the first start makes it, or run mediad doctor --fix"})
		return
	}
	probe, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		d.say(finding{name: name, text: "cannot write to " + dir, fails: true, advice: "give the folder to the user that runs mediad: chown -R"})
		return
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name())
	d.say(finding{name: name, text: dir + " " + made + "is writable"})
}

func (d *doctor) examineDisk() {
	const name, gib = "disk", 1 << 30
	space, _, err := diskSpace(d.config.DataDir)
	if err != nil {
		d.say(finding{name: name, text: err.Error(), advice: "free space could not be read"})
		return
	}
	free := float64(space) / gib
	// An hour of one 6 Mbit/s stream is 2.7 GB.
	need := 6e6 / 8 * d.config.HLS.DVR.Seconds() / gib
	text := fmt.Sprintf("%.1f GiB free; hls.dvr %s of one 6 Mbit/s stream takes %.1f GiB", free, d.config.HLS.DVR, need)
	switch {
	case free < 0.5:
		d.say(finding{name: name, text: text, fails: true, advice: "free some space, or point data_dir to another disk"})
	case free < need:
		d.say(finding{name: name, text: text, advice: "lower hls.dvr, or point data_dir to a larger disk"})
	default:
		d.say(finding{name: name, text: text})
	}
}

func (d *doctor) examineClock() {
	const name = "clock"
	// Any release is younger than this; an older clock has not been set.
	if earliest := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); time.Now().Before(earliest) {
		d.say(finding{name: name, text: "says " + time.Now().UTC().Format(time.RFC3339), fails: true, advice: "set it (NTP): program dates and segment numbers come from it"})
		return
	}
	d.say(finding{name: name, text: time.Now().UTC().Format(time.RFC3339)})
}
