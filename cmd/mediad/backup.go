package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v3"

	"mediad/configs"
	"mediad/store/backup"
	"mediad/store/blob"
	"mediad/store/db"
	"mediad/store/db/transfer"
)

// passphraseVariable has the passphrase where no file is named.
const passphraseVariable = "MEDIAD_BACKUP_PASSPHRASE"

func passphraseFlag() cli.Flag {
	return &cli.StringFlag{Name: "passphrase-file", Usage: "`FILE` whose first line seals the secrets, " + fmt.Sprint(backup.MinPassphrase) + " bytes or more; or " + passphraseVariable}
}

const backupHelp = `Writes the site into one FILE that was not there, beside a server that runs or not: all rows as they are at one moment, of SQLite as of
PostgreSQL. With a folder for FILE the name is made of the time. The file appears whole or not at all and is for its owner alone. It has
password hashes and addresses of people in it: keep it accordingly.

What has to be read again is sealed with the master key, which is left out unless --secrets asks for it.`

func (p *program) backupCommand() *cli.Command {
	return &cli.Command{Name: "backup", Usage: "write a site into one file", ArgsUsage: "FILE", Description: backupHelp,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "blobs", Usage: "the media too: of data_dir and, where there is one, of the bucket"},
			&cli.BoolFlag{Name: "secrets", Usage: "the files of data_dir/secrets too, sealed by a passphrase"},
			passphraseFlag(),
		},
		Action: func(ctx context.Context, c *cli.Command) error {
			if c.Args().Len() != 1 {
				return usagef("%s needs one argument: FILE", c.FullName())
			}
			passphrase, err := p.passphrase(c)
			if err != nil {
				return err
			}
			loaded, err := p.load(c)
			if err != nil {
				return err
			}
			return p.backup(ctx, c, loaded.Config, passphrase)
		}}
}

// passphrase is read where secrets are asked for.
func (p *program) passphrase(c *cli.Command) ([]byte, error) {
	if !c.Bool("secrets") {
		if c.IsSet("passphrase-file") {
			return nil, usagef("%s: --passphrase-file goes with --secrets", c.FullName())
		}
		return nil, nil
	}
	var text string
	if name := c.String("passphrase-file"); name != "" {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("passphrase: %w", err)
		}
		text, _, _ = strings.Cut(string(b), "\n")
	} else {
		for _, v := range p.environ {
			if value, ok := strings.CutPrefix(v, passphraseVariable+"="); ok {
				text = value
			}
		}
	}
	text = strings.TrimRight(text, "\r")
	if len(text) < backup.MinPassphrase {
		return nil, usagef("%s: --secrets needs a passphrase of %d bytes or more, by --passphrase-file or %s", c.FullName(), backup.MinPassphrase, passphraseVariable)
	}
	return []byte(text), nil
}

func (p *program) backup(ctx context.Context, c *cli.Command, config *configs.Config, passphrase []byte) error {
	began := time.Now()
	site := place{side: "site", config: config}
	if _, err := os.Stat(databaseFile(config)); err != nil {
		return fmt.Errorf("there is no site to back up: %w", err)
	}
	o := databaseOptions(config, nil)
	o.Application = mover
	var err error
	if site.db, err = db.Open(ctx, o); err != nil {
		return err
	}
	defer site.close()
	if c.Bool("blobs") {
		if err := site.openStores(ctx); err != nil {
			return err
		}
	}
	b, err := site.backupOfRows(ctx)
	if err != nil {
		return err
	}
	defer b.Rows.Close()
	progress := newProgress(p.stderr)
	b.Progress = func(what string, n int64) { progress.tell("%s: %d", what, n) }
	if c.Bool("blobs") {
		for _, s := range site.stores() {
			b.Places = append(b.Places, backup.Place{Name: s.name, Store: s.store})
		}
	}
	if passphrase != nil {
		b.Secrets, b.Passphrase = site.secrets(), passphrase
	}
	path := c.Args().First()
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "mediad-"+began.UTC().Format("20060102-150405")+".backup")
	}
	head, manifest, err := backup.Create(ctx, path, b)
	progress.clear()
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "backup   %s\n", path)
	if err := printBackup(p.stdout, head, manifest); err != nil {
		return err
	}
	if passphrase == nil && len(b.Keys) > 0 {
		fmt.Fprintf(p.stderr, "mediad: the master key is not in it, and without that what is sealed cannot be read: keep a copy of %s elsewhere, or add --secrets\n",
			site.secrets())
	}
	if passphrase != nil && config.SecretKey != "" {
		fmt.Fprintln(p.stderr, "mediad: secret_key is of the configuration and not in the backup: keep a copy elsewhere")
	}
	return nil
}

// backupOfRows is a backup of the rows of a place as they are now. Who asks closes them.
func (p *place) backupOfRows(ctx context.Context) (backup.Options, error) {
	rows, options, err := p.source(ctx)
	if err != nil {
		return backup.Options{}, err
	}
	keys, err := transfer.SealedBy(ctx, rows)
	if err != nil {
		return backup.Options{}, errors.Join(err, rows.Close())
	}
	return backup.Options{Version: version, Rows: rows, Database: p.db.Where(), Engine: string(p.db.Engine()), Schema: options.Schema, Keys: keys}, nil
}

// printBackup says what is in a backup.
func printBackup(out io.Writer, head backup.Head, m backup.Manifest) error {
	var rows int64
	for _, t := range m.Tables {
		rows += t.Rows
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "of\t%s, %s, schema %d, by mediad %s\n", head.MadeAt.Format(time.RFC3339), head.Engine, head.Schema, head.Version)
	fmt.Fprintf(w, "rows\t%d in %d tables\n", rows, len(head.Tables))
	for _, name := range head.Places {
		fmt.Fprintf(w, "%s\t%d objects, %s\n", name, m.Blobs[name].Objects, amount(m.Blobs[name].Bytes))
	}
	if len(head.Places) == 0 {
		fmt.Fprintln(w, "media\tnone")
	}
	with := "none"
	if head.Secrets {
		with = "sealed by a passphrase"
	}
	fmt.Fprintf(w, "secrets\t%s\n", with)
	return w.Flush()
}

const restoreHelp = `Reads the whole FILE and compares its checksums before anything is changed, then makes the site that the configuration names of it, on SQLite
or PostgreSQL, whichever the backup is of. The site must be stopped and empty, or hold what an earlier call has begun: a call that was stopped is
made again and goes on. A backup of an older version is brought up to date; one of a newer version is refused.

The media that the backup has is brought back with the rows; --rows leaves it where it is.`

func (p *program) restoreCommand() *cli.Command {
	return &cli.Command{Name: "restore", Usage: "make a site of a backup", ArgsUsage: "FILE", Description: restoreHelp,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "verify", Usage: "only read the file, and say what is in it"},
			&cli.BoolFlag{Name: "rows", Usage: "leave the media of the backup out, as where it is still there, and restore rows alone"},
			&cli.BoolFlag{Name: "secrets", Usage: "restore data_dir/secrets too, by the passphrase"},
			passphraseFlag(),
			&cli.BoolFlag{Name: "replace", Usage: "set what is there aside, as mediad.db.before-TIME and blobs.before-TIME (SQLite)"},
			&cli.BoolFlag{Name: "without-keys", Usage: "restore although the master key is lost: addresses and second factors are lost with it"},
		},
		Action: func(ctx context.Context, c *cli.Command) error {
			if c.Args().Len() != 1 {
				return usagef("%s needs one argument: FILE", c.FullName())
			}
			passphrase, err := p.passphrase(c)
			if err != nil {
				return err
			}
			loaded, err := p.load(c)
			if err != nil {
				return err
			}
			if c.Bool("replace") && c.Bool("rows") {
				return usagef("restore: --replace sets the media aside too: move mediad.db away yourself where it is to stay")
			}
			if c.Bool("replace") && loaded.PostgresURL() != "" {
				return usagef("restore: --replace is for SQLite: on PostgreSQL make an empty database, and name that")
			}
			b, err := backup.Open(ctx, c.Args().First())
			if err != nil {
				return err
			}
			defer b.Close()
			if err := printBackup(p.stdout, b.Head, b.Manifest); err != nil {
				return err
			}
			if c.Bool("verify") {
				fmt.Fprintln(p.stdout, "every checksum is right")
				return nil
			}
			if err := p.restore(ctx, c, loaded.Config, b, passphrase); err != nil {
				return fmt.Errorf("restore: %w", err)
			}
			return nil
		}}
}

// setAside gives what is there of a site other names.
func (p *program) setAside(c *configs.Config) error {
	lock, err := lockData(c.DataDir)
	if err != nil {
		return err
	}
	defer lock.Close()
	target, err := configs.ParseBlobURL(c.Blob.URL)
	if err != nil {
		return fmt.Errorf("blob.url %w", err)
	}
	suffix := ".before-" + time.Now().UTC().Format("20060102-150405")
	// The write-ahead log goes first: beside another database it would be taken for that one's.
	for _, name := range []string{databaseFile(c) + "-wal", databaseFile(c) + "-shm", databaseFile(c), blobDir(c, target)} {
		err := os.Rename(name, name+suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "set aside  %s\n", name+suffix)
	}
	return nil
}

// restorable says what of a restore will fail, as far as that shows before anything is made or set aside.
func restorable(c *cli.Command, config *configs.Config, b *backup.Backup, passphrase []byte) error {
	target, err := configs.ParseBlobURL(config.Blob.URL)
	switch {
	case err != nil:
		return fmt.Errorf("blob.url %w", err)
	case !c.Bool("rows") && b.Manifest.Blobs["bucket"].Objects > 0 && target.Bucket == "":
		return errNoBucket
	case passphrase != nil: // its keys come with it
		return b.CheckSecrets(passphrase)
	}
	to := &place{side: "site", config: config}
	return to.hasKeys(c, b)
}

var errNoBucket = errors.New("the backup has objects of a bucket, and blob.url names none: name one, and let mediad copy bring them to a folder afterwards")

// hasKeys fails where a master key is missing with which rows of the backup are sealed.
func (p *place) hasKeys(c *cli.Command, b *backup.Backup) error {
	missing, err := p.missingKeys(b.Head.Keys)
	if err == nil && len(missing) > 0 && !c.Bool("without-keys") {
		err = errKeys(missing, p, "bring that file back, add --secrets where the backup has it, or --without-keys")
	}
	return err
}

func (p *program) restore(ctx context.Context, c *cli.Command, config *configs.Config, b *backup.Backup, passphrase []byte) error {
	if err := restorable(c, config, b, passphrase); err != nil {
		return err
	}
	if c.Bool("replace") {
		if err := p.setAside(config); err != nil {
			return err
		}
	}
	to, err := openPlace(ctx, "site", config, true, nil)
	if err != nil {
		return err
	}
	defer to.close()
	o := transfer.Options{Name: "backup " + b.Head.ID, Schema: b.Head.Schema}
	if err := transfer.Check(ctx, to.db, o); err != nil {
		if errors.Is(err, transfer.ErrNotEmpty) && to.hasAll(ctx, b, false) && (c.Bool("rows") || hasObjects(ctx, b, to)) {
			fmt.Fprintln(p.stdout, "the site has all of the backup already, and no other rows")
			return nil
		}
		if errors.Is(err, transfer.ErrNotEmpty) && to.db.Engine() == db.SQLite {
			err = fmt.Errorf("%w; --replace sets what is there aside", err)
		}
		return err
	}
	blobs := b.Manifest.Blobs
	if c.Bool("rows") {
		blobs = nil
	}
	if blobs["bucket"].Objects > 0 && to.bucket == nil {
		return errNoBucket
	}
	if err := to.unused(ctx, blobs["local"].Objects > 0, blobs["bucket"].Objects > 0); err != nil {
		return err
	}
	if passphrase != nil {
		names, err := b.RestoreSecrets(to.secrets(), passphrase)
		if err != nil {
			return err
		}
		for _, name := range names {
			fmt.Fprintf(p.stdout, "restored  %s\n", filepath.Join(to.secrets(), filepath.FromSlash(name)))
		}
	}
	if err := to.hasKeys(c, b); err != nil {
		return err
	}
	progress := newProgress(p.stderr)
	o.Progress = func(table string, n int64) { progress.tell("rows of %s: %d", table, n) }
	if blobs != nil {
		o.AfterRows = func(ctx context.Context) error { return restoreObjects(ctx, b, to, progress) }
	}
	result, err := transfer.Load(ctx, b, to.db, o)
	progress.clear()
	if err != nil {
		return fmt.Errorf("%w; made again, it goes on", err)
	}
	if err := printTables(p, result.Tables); err != nil {
		return err
	}
	fmt.Fprintln(p.stdout, "all rows and objects are those of the backup")
	return nil
}

// hasObjects says whether a place has all media of a backup.
func hasObjects(ctx context.Context, b *backup.Backup, to *place) bool {
	return b.Objects(ctx, func(o backup.Object, _ io.Reader) error {
		var store blob.Store = to.local
		if o.Place == "bucket" {
			if to.bucket == nil {
				return blob.ErrNotExist
			}
			store = to.bucket
		}
		info, err := store.Stat(ctx, o.Key)
		if err == nil && info.Size != o.Size {
			err = blob.ErrNotExist
		}
		return err
	}) == nil
}

// restoreObjects puts the media where it was.
func restoreObjects(ctx context.Context, b *backup.Backup, to *place, progress *progress) error {
	n := 0
	return b.Objects(ctx, func(o backup.Object, r io.Reader) error {
		var store blob.Store = to.local
		if o.Place == "bucket" {
			store = to.bucket
		}
		n++
		progress.tell("media: %d objects", n)
		return store.Put(ctx, o.Key, r, o.Size, o.Meta)
	})
}
