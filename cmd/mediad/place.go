package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"os"
	"path"
	"path/filepath"
	"strings"

	"mediad/configs"
	"mediad/packager/archive"
	"mediad/store/blob"
	"mediad/store/blob/disk"
	"mediad/store/blob/s3"
	"mediad/store/db"
	"mediad/store/db/transfer"
	"mediad/store/move"
	"mediad/store/seal"
)

// place is a site that nobody serves meanwhile: its rows, its media and its secrets, for those who move them.
type place struct {
	side   string // source, target: how it is called
	config *configs.Config
	lock   *os.File // nil: it is the other place's too
	db     *db.DB
	local  *disk.Store
	bucket *s3.Store // nil: there is none
}

// mover is what connections of those who move rows call themselves, so that they are not taken for a server's.
const mover = "mediad moving rows"

// openPlace opens the site that a configuration names. What is missing of it is made where that is asked for. beside is a place that has the lock of the data folder
// already, where it is the same.
func openPlace(ctx context.Context, side string, c *configs.Config, missing bool, beside *place) (*place, error) {
	p := &place{side: side, config: c}
	err := p.open(ctx, missing, beside)
	if err != nil {
		p.close()
		return nil, fmt.Errorf("%s: %w", side, err)
	}
	return p, nil
}

func (p *place) open(ctx context.Context, missing bool, beside *place) (err error) {
	o := databaseOptions(p.config, nil)
	o.Application = mover
	if !missing {
		if _, err := os.Stat(p.config.DataDir); err != nil {
			return fmt.Errorf("data_dir: %w", err)
		}
		if o.Path != "" {
			if _, err := os.Stat(o.Path); err != nil {
				return fmt.Errorf("its database: %w", err)
			}
		}
	}
	if beside == nil || !sameFolder(beside.config.DataDir, p.config.DataDir) {
		if p.lock, err = lockData(p.config.DataDir); err != nil {
			return err
		}
	}
	if p.db, err = db.Open(ctx, o); err != nil {
		return err
	}
	others, err := p.db.Others(ctx)
	if err != nil {
		return err
	}
	if others > 0 {
		return fmt.Errorf("a mediad is connected to the database %s, with %d connections: stop it first, on whatever machine it is", p.db.Where(), others)
	}
	return p.openStores(ctx)
}

func (p *place) openStores(ctx context.Context) error {
	target, err := configs.ParseBlobURL(p.config.Blob.URL)
	if err != nil {
		return fmt.Errorf("blob.url %w", err)
	}
	if p.local, err = disk.Open(blobDir(p.config, target)); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	if target.Bucket == "" {
		return nil
	}
	if p.bucket, err = s3.Open(ctx, bucketOptions(target, p.config)); err != nil {
		return fmt.Errorf("blob.url: %w", err)
	}
	if err := p.bucket.Check(ctx); err != nil {
		return fmt.Errorf("blob.url: %w; mediad doctor says what to do", err)
	}
	return nil
}

func (p *place) close() {
	if p.db != nil {
		_ = p.db.Close()
	}
	if p.local != nil {
		_ = p.local.Close()
	}
	if p.bucket != nil {
		_ = p.bucket.Close()
	}
	if p.lock != nil {
		_ = p.lock.Close()
	}
}

// sameFolder says whether two names are of one folder.
func sameFolder(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// sameBucket says whether both places have one bucket, and the same part of it.
func sameBucket(a, b *place) bool {
	return a.bucket != nil && b.bucket != nil && a.bucket.String() == b.bucket.String()
}

func (p *place) secrets() string { return filepath.Join(p.config.DataDir, "secrets") }

// ring has the master keys of the place; nil: it has none yet. Unlike seal.Load it makes none.
func (p *place) ring() (*seal.Ring, error) {
	if _, err := os.Stat(filepath.Join(p.secrets(), seal.File)); errors.Is(err, fs.ErrNotExist) && strings.Trim(p.config.SecretKey, ", ") == "" {
		return nil, nil
	}
	return seal.Load(p.config.SecretKey, p.secrets())
}

// missingKeys are those of ids that the place does not have.
func (p *place) missingKeys(ids []string) (missing []string, err error) {
	r, err := p.ring()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if r == nil || !r.Has(id) {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

// errKeys says what to do about master keys that the target does not have.
func errKeys(missing []string, p *place, advice string) error {
	return fmt.Errorf("mail addresses, second factors and the like are sealed with master keys (%s) that the %s does not have, neither as secret_key nor in %s: %s",
		strings.Join(missing, ", "), p.side, filepath.Join(p.secrets(), seal.File), advice)
}

// unused fails where the place has media already that is not of a move that was begun.
func (p *place) unused(ctx context.Context, local, bucket bool) error {
	_, begun, err := p.db.Moving(ctx)
	if err != nil || begun {
		return err
	}
	found := errors.New("found")
	for _, s := range []struct {
		look  bool
		name  string
		store blob.Store
	}{{local, "the folder " + p.local.Root(), p.local}, {bucket, "the bucket", p.bucket}} {
		if !s.look {
			continue
		}
		first := ""
		err := s.store.List(ctx, "", func(i blob.Info) error {
			first = i.Key
			return found
		})
		if errors.Is(err, found) {
			return fmt.Errorf("%w: %s has objects, such as %s; name one without, or another prefix of the bucket", transfer.ErrNotEmpty, s.name, first)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mediaNames are how the bucket calls what is in it.
func mediaNames() move.Names {
	return move.Names{
		Segment: func(stream, rendition string, epoch, msn int64) string {
			return archive.SegmentKey(stream, rendition, epoch, uint64(msn))
		},
		Init: archive.InitKey,
		Meta: archive.SegmentMeta,
		Other: func(key string) blob.Meta { // pictures and the like have names that are never used again
			return blob.Meta{ContentType: mime.TypeByExtension(path.Ext(key)), CacheControl: immutable}
		},
	}
}
