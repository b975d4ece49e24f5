package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v3"

	"mediad/configs"
	"mediad/store/backup"
	"mediad/store/blob"
	"mediad/store/db"
	"mediad/store/db/transfer"
	"mediad/store/move"
)

const copyHelp = `Copies a whole site: rows, media and, with --secrets, the keys that it made; between SQLite and PostgreSQL, a folder and a bucket, in
any direction. Both sites must be stopped. The source is only read. The target must be empty, or hold what an earlier call has begun: a call that
was stopped, even by kill -9, is made again with the same words and goes on. No server starts on a target that is not complete.

A site is named by its configuration FILE (.yaml), or by one or more of
  FOLDER or sqlite:FOLDER      its data_dir; the rows are in mediad.db there unless a database is named
  postgres://…                 its database
  s3://… or file://…           where its media is (blob.url)
Variables for it are MEDIAD_FROM_… and MEDIAD_TO_…, as MEDIAD_TO_BLOB_SECRET_KEY. Without --from it is the site of --config and MEDIAD_….
To change the database alone, name the same FOLDER on both sides.

Every table is compared by the number and a checksum of its rows, every object by its length and checksum.`

func (p *program) copyCommand() *cli.Command {
	return &cli.Command{Name: "copy", Usage: "move a whole site between SQLite and PostgreSQL, a folder and a bucket", Description: copyHelp,
		DisableSliceFlagSeparator: true, // URLs have commas
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "from", Usage: "the `SITE` to copy; that of --config without it"},
			&cli.StringSliceFlag{Name: "to", Usage: "the `SITE` to make"},
			&cli.BoolFlag{Name: "secrets", Usage: "copy the files of data_dir/secrets too, the master key among them"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say what would be copied, and whether it could and master keys open what is sealed, and change nothing"},
			&cli.BoolFlag{Name: "verify", Usage: "only compare both sites"},
		},
		Action: noArguments(p.copySite)}
}

func (p *program) copySite(ctx context.Context, c *cli.Command) error {
	if c.Bool("dry-run") && c.Bool("verify") {
		return usagef("copy: either --dry-run or --verify")
	}
	if len(c.StringSlice("to")) == 0 {
		return usagef("copy needs --to SITE")
	}
	source, err := p.load(c)
	if words := c.StringSlice("from"); len(words) > 0 {
		source, err = p.siteOf("from", words)
	}
	if err != nil {
		return err
	}
	target, err := p.siteOf("to", c.StringSlice("to"))
	if err != nil {
		return err
	}
	from, err := openPlace(ctx, "source", source.Config, false, nil)
	if err != nil {
		return err
	}
	defer from.close()
	readOnly := c.Bool("dry-run") || c.Bool("verify")
	if _, err := os.Stat(databaseFile(target.Config)); c.Bool("dry-run") && errors.Is(err, fs.ErrNotExist) {
		// Into what is to be made nothing stands in the way but keys.
		return p.plan(ctx, from, &place{side: "target", config: target.Config}, c.Bool("secrets"))
	}
	to, err := openPlace(ctx, "target", target.Config, !readOnly, from)
	if err != nil {
		return err
	}
	defer to.close()
	if from.db.Where() == to.db.Where() {
		return usagef("copy: source and target have one database, %s", to.db.Where())
	}
	switch {
	case c.Bool("verify"):
		return p.compare(ctx, from, to)
	case c.Bool("dry-run"):
		return p.plan(ctx, from, to, c.Bool("secrets"))
	}
	return p.runCopy(ctx, from, to, c.Bool("secrets"))
}

// databaseFile is what is there of a site that is: its database, or, where that is on a server, its folder.
func databaseFile(c *configs.Config) string {
	if o := databaseOptions(c, nil); o.Path != "" {
		return o.Path
	}
	return c.DataDir
}

// siteOf is the configuration of a site that words name. side is from or to, and what its variables have in their names.
func (p *program) siteOf(side string, words []string) (configs.Loaded, error) {
	var none configs.Loaded
	var environ []string
	for _, v := range p.environ {
		if rest, ok := strings.CutPrefix(v, "MEDIAD_"+strings.ToUpper(side)+"_"); ok {
			environ = append(environ, "MEDIAD_"+rest)
		}
	}
	file := ""
	for _, word := range words {
		scheme, rest, _ := strings.Cut(word, ":")
		switch {
		case scheme == "postgres" || scheme == "postgresql":
			environ = append(environ, "MEDIAD_DATABASE_URL="+word)
		case scheme == "s3" || scheme == "file":
			environ = append(environ, "MEDIAD_BLOB_URL="+word)
		case scheme == "sqlite" && rest != "":
			environ = append(environ, "MEDIAD_DATA_DIR="+rest, "MEDIAD_DATABASE_URL=")
		case strings.HasSuffix(word, ".yaml") || strings.HasSuffix(word, ".yml"):
			file = word
		case word != "" && !strings.Contains(word, "://"):
			environ = append(environ, "MEDIAD_DATA_DIR="+word)
		default:
			return none, usagef("copy: --%s %s is neither a configuration (.yaml), a folder, nor one of sqlite:FOLDER, postgres://…, s3://…, file://…", side, scheme)
		}
	}
	loaded, err := configs.Load(file, environ)
	if err != nil {
		return none, usageError{fmt.Errorf("--%s: %w", side, err)}
	}
	if !slices.Contains(loaded.Changed, "data_dir") {
		return none, usagef("copy: --%s: name its data folder too: journals, media and secrets are there", side)
	}
	return loaded, nil
}

// source is a snapshot of a place's rows, and what to call it.
func (p *place) source(ctx context.Context) (*transfer.Snapshot, transfer.Options, error) {
	schema, err := p.db.Schema(ctx)
	if err != nil {
		return nil, transfer.Options{}, err
	}
	if schema == 0 {
		return nil, transfer.Options{}, fmt.Errorf("%s: the database %s has no tables", p.side, p.db.Where())
	}
	if _, begun, err := p.db.Moving(ctx); err != nil || begun {
		return nil, transfer.Options{}, errors.Join(err, fmt.Errorf("%s: %w", p.side, db.ErrMoving))
	}
	rows, err := transfer.Open(ctx, p.db)
	return rows, transfer.Options{Name: p.db.Where(), Schema: schema}, err
}

// plan says what a copy would do. A target that is still to be made is not open.
func (p *program) plan(ctx context.Context, from, to *place, secrets bool) error {
	rows, o, err := from.source(ctx)
	if err != nil {
		return err
	}
	defer rows.Close()
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TABLE\tROWS")
	for i := range rows.Schema().Tables {
		t := &rows.Schema().Tables[i]
		sum, err := transfer.SumOf(ctx, rows, t, nil)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%d\n", t.Name, sum.Rows)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, s := range from.stores() {
		n, err := sizeOf(ctx, s.store)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "%s: %d objects, %s\n", s.name, n.Objects, amount(n.Bytes))
	}
	if to.db != nil {
		if err := p.mayCopy(ctx, rows, from, to, o); err != nil {
			return fmt.Errorf("target: %w", err)
		}
	}
	if err := p.planKeys(ctx, rows, from, to, secrets); err != nil {
		return err
	}
	fmt.Fprintln(p.stdout, "nothing was changed")
	return nil
}

// mayCopy says why there is no place for the rows and the media; mayRead, why the target could not read them.
func (p *program) mayCopy(ctx context.Context, rows *transfer.Snapshot, from, to *place, o transfer.Options) error {
	if err := transfer.Check(ctx, to.db, o); err != nil {
		return fmt.Errorf("%w; name an empty database, or move what is there away", err)
	}
	if err := roomFor(ctx, from, to); err != nil {
		return err
	}
	return to.unused(ctx, !sameFolder(from.local.Root(), to.local.Root()), to.bucket != nil && !sameBucket(from, to))
}

// roomFor fails where the target's disk has less space than the source's files take, what is there of them already included.
func roomFor(ctx context.Context, from, to *place) error {
	if sameFolder(from.local.Root(), to.local.Root()) {
		return nil
	}
	need, err := sizeOf(ctx, from.local)
	if err != nil {
		return err
	}
	have, err := sizeOf(ctx, to.local)
	if err != nil {
		return err
	}
	free, _, err := diskSpace(to.local.Root())
	if err == nil && need.Bytes > have.Bytes && uint64(need.Bytes-have.Bytes) > free {
		err = fmt.Errorf("%s has %s free, and the media takes %s", to.local.Root(), amount(int64(free)), amount(need.Bytes-have.Bytes))
	}
	return err
}

// sizeOf is all that a store has.
func sizeOf(ctx context.Context, s blob.Store) (n move.Amount, err error) {
	err = s.List(ctx, "", func(i blob.Info) error {
		n.Objects++
		n.Bytes += i.Size
		return nil
	})
	return n, err
}

type namedStore struct {
	name  string
	store blob.Store
}

// stores are those of a place, by name.
func (p *place) stores() []namedStore {
	all := []namedStore{{"local", p.local}}
	if p.bucket != nil {
		all = append(all, namedStore{"bucket", p.bucket})
	}
	return all
}

func (p *program) runCopy(ctx context.Context, from, to *place, secrets bool) error {
	rows, o, err := from.source(ctx)
	if err != nil {
		return err
	}
	defer rows.Close()
	if err := keepNode(from.config.DataDir, to.config.DataDir); err != nil {
		return err
	}
	if secrets && !sameFolder(from.config.DataDir, to.config.DataDir) {
		names, err := backup.CopySecrets(from.secrets(), to.secrets())
		if err != nil {
			return err
		}
		for _, name := range names {
			fmt.Fprintf(p.stdout, "copied  %s\n", filepath.Join(to.secrets(), filepath.FromSlash(name)))
		}
	}
	err = p.mayCopy(ctx, rows, from, to, o)
	if err == nil {
		err = mayRead(ctx, rows, from, to, false) // --secrets has brought them
	}
	if err != nil {
		if errors.Is(err, transfer.ErrNotEmpty) && to.hasAll(ctx, rows, (from.bucket == nil) != (to.bucket == nil)) {
			fmt.Fprintln(p.stdout, "the copy was complete already")
			return p.compare(ctx, from, to)
		}
		return fmt.Errorf("target: %w", err)
	}
	progress := newProgress(p.stderr)
	o.Progress = func(table string, n int64) { progress.tell("rows of %s: %d", table, n) }
	var media []string
	o.AfterRows = func(ctx context.Context) (err error) {
		media, err = copyMedia(ctx, from, to, progress)
		return err
	}
	result, err := transfer.Load(ctx, rows, to.db, o)
	progress.clear()
	if errors.Is(err, transfer.ErrDiffers) {
		return fmt.Errorf("%w: the source has changed since the copy was begun: empty the target and begin anew", err)
	}
	if err != nil {
		return fmt.Errorf("%w; made again, the copy goes on", err)
	}
	if result.Resumed {
		fmt.Fprintln(p.stdout, "a copy that was begun before went on")
	}
	if err := printTables(p, result.Tables); err != nil {
		return err
	}
	for _, line := range media {
		fmt.Fprintln(p.stdout, line)
	}
	fmt.Fprintf(p.stdout, "all rows and objects are equal; serve with the target's configuration now\n")
	if from.bucket == nil && to.bucket != nil {
		fmt.Fprintln(p.stdout, "playlists and pictures of videos are stored in the bucket by its first start")
	}
	return nil
}

func printTables(p *program, tables []transfer.TableResult) error {
	if len(tables) == 0 {
		return nil // the rows were stored by an earlier call
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TABLE\tROWS\tSTORED\tCHECKSUM")
	var empty int
	for _, t := range tables {
		if t.Sum.Rows == 0 {
			empty++
			continue
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%.16s\n", t.Name, t.Sum.Rows, t.Stored, t.Sum.Hash)
	}
	if err := w.Flush(); err != nil || empty == 0 {
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "and %d tables without rows\n", empty)
	return err
}

// copyMedia brings the media to where the target's configuration has it.
func copyMedia(ctx context.Context, from, to *place, progress *progress) (lines []string, err error) {
	type step struct {
		name string
		skip bool
		run  func(o move.Options) (move.Counts, error)
	}
	steps := []step{
		{"local", sameFolder(from.local.Root(), to.local.Root()), func(o move.Options) (move.Counts, error) {
			return move.Objects(ctx, from.local, to.local, o)
		}},
		{"bucket", from.bucket == nil || to.bucket == nil || sameBucket(from, to), func(o move.Options) (move.Counts, error) {
			return move.Objects(ctx, from.bucket, to.bucket, o)
		}},
		{"folder to bucket", from.bucket != nil || to.bucket == nil, func(o move.Options) (move.Counts, error) {
			return move.ToBucket(ctx, to.db, to.local, to.bucket, mediaNames(), o)
		}},
		{"bucket to folder", from.bucket == nil || to.bucket != nil, func(o move.Options) (move.Counts, error) {
			return move.ToDisk(ctx, to.db, from.bucket, to.local, mediaNames(), o)
		}},
	}
	for _, s := range steps {
		if s.skip {
			continue
		}
		n, err := s.run(move.Options{Progress: func(n move.Counts) {
			progress.tell("%s: %d objects, %s", s.name, n.Copied.Objects+n.Same.Objects, amount(n.Copied.Bytes+n.Same.Bytes))
		}})
		if err != nil {
			return lines, err
		}
		line := fmt.Sprintf("%s: %d objects copied, %s; %d were there", s.name, n.Copied.Objects, amount(n.Copied.Bytes), n.Same.Objects)
		if n.Gone > 0 {
			line += fmt.Sprintf("; %d segments of the rows are nowhere, as at the source: mediad doctor --orphans names them", n.Gone)
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// placed are the columns that say where media lies, which differs between a site with a bucket and one without.
var placed = transfer.Ignored{"segments": {"blob_key", "blob_offset", "bucket"}, "recordings": {"evicted"}}

// hasAll says whether the place has all rows of a source and no others, as where a call was killed when its work was done. moved: its media is
// not kept as the source's is.
func (p *place) hasAll(ctx context.Context, rows transfer.Source, moved bool) bool {
	there, _, err := p.source(ctx)
	if err != nil {
		return false // whoever asks has an error to tell
	}
	defer there.Close()
	var ignored transfer.Ignored
	if moved {
		ignored = placed
	}
	_, differ, err := transfer.Compare(ctx, rows, there, ignored)
	return err == nil && len(differ) == 0
}

// compare reads both sites.
func (p *program) compare(ctx context.Context, from, to *place) error {
	rows, _, err := from.source(ctx)
	if err != nil {
		return err
	}
	defer rows.Close()
	there, _, err := to.source(ctx)
	if err != nil {
		return err
	}
	defer there.Close()
	var ignored transfer.Ignored
	if (from.bucket == nil) != (to.bucket == nil) {
		ignored = placed
	}
	sums, differ, err := transfer.Compare(ctx, rows, there, ignored)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TABLE\tROWS\tCHECKSUM")
	for _, t := range sums {
		fmt.Fprintf(w, "%s\t%d\t%.16s\n", t.Name, t.Sum.Rows, t.Sum.Hash)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	progress := newProgress(p.stderr)
	var faults []error
	for _, d := range differ {
		faults = append(faults, errors.New(d.String()))
	}
	pairs := []struct {
		name     string
		from, to blob.Store
		skip     bool
	}{
		{"local", from.local, to.local, sameFolder(from.local.Root(), to.local.Root())},
		{"bucket", from.bucket, to.bucket, from.bucket == nil || to.bucket == nil || sameBucket(from, to)},
	}
	for _, pair := range pairs {
		if pair.skip {
			continue
		}
		n, err := move.Verify(ctx, pair.from, pair.to, move.Options{Progress: func(n move.Counts) {
			progress.tell("%s: %d objects, %s", pair.name, n.Same.Objects, amount(n.Same.Bytes))
		}})
		progress.clear()
		if err != nil {
			faults = append(faults, err)
			continue
		}
		fmt.Fprintf(p.stdout, "%s: %d objects, %s\n", pair.name, n.Same.Objects, amount(n.Same.Bytes))
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %w", transfer.ErrDiffers, errors.Join(faults...))
	}
	fmt.Fprintln(p.stdout, "both sites are equal")
	return nil
}

// keepNode gives a folder that has no node yet the name of the one that is copied: recordings and their files are that node's.
func keepNode(from, to string) error {
	id, err := os.ReadFile(filepath.Join(from, nodeFile))
	if errors.Is(err, os.ErrNotExist) || err == nil && sameFolder(from, to) {
		return nil
	}
	if _, there := os.Stat(filepath.Join(to, nodeFile)); err != nil || there == nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, nodeFile), id, 0o600)
}
