package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mediad/store/blob"
	"mediad/store/db/transfer"
)

const (
	// chunkBytes is about how much of a table is compressed together: what is held in memory.
	chunkBytes = 4 << 20
	// sumsAtOnce is how many entries' checksums come together.
	sumsAtOnce        = 1000
	paxType, paxCache = "MEDIAD.content_type", "MEDIAD.cache_control"
)

// Place is a store of objects, by its name in the archive.
type Place struct {
	Name  string // local or bucket
	Store blob.Store
}

// Options of Create.
type Options struct {
	Version  string
	Now      func() time.Time // nil: time.Now
	Rows     *transfer.Snapshot
	Database string // where the rows are, without secrets
	Engine   string
	Schema   int64
	Keys     []string // ids of the master keys that the rows are sealed with
	Places   []Place  // whose objects are backed up
	// Secrets is the folder of secrets; empty: they are left out. Passphrase seals them.
	Secrets    string
	Passphrase []byte
	// Progress is told of each table, and now and then of objects. nil: nobody.
	Progress func(what string, done int64)
}

// Create writes a backup under a name that nothing has yet. The file appears whole or not at all, for the owner alone.
func Create(ctx context.Context, path string, o Options) (Head, Manifest, error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return Head{}, Manifest{}, errors.Join(err, fmt.Errorf("backup: %s: %w", path, fs.ErrExist))
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return Head{}, Manifest{}, fmt.Errorf("backup: %w", called(path, err))
	}
	defer os.Remove(f.Name())
	head, manifest, err := Write(ctx, &draft{f, path}, o)
	if err == nil {
		err = called(path, f.Sync())
	}
	if err = errors.Join(err, called(path, f.Close())); err != nil {
		return head, manifest, err
	}
	// A link, unlike a rename, is never made over what is there.
	if err := os.Link(f.Name(), path); err != nil {
		return head, manifest, fmt.Errorf("backup: %w", called(path, err))
	}
	return head, manifest, syncFolder(filepath.Dir(path))
}

// draft is a file that gets its name when it is whole. Its errors have that one: the name it has meanwhile is gone when they are read.
type draft struct {
	file *os.File
	path string
}

// Write implements io.Writer.
func (d *draft) Write(b []byte) (int, error) {
	n, err := d.file.Write(b)
	return n, called(d.path, err)
}

// called gives an error of a draft the name that was asked for.
func called(path string, err error) error {
	var file *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &file):
		return &fs.PathError{Op: file.Op, Path: path, Err: file.Err}
	case errors.As(err, &link):
		return &fs.PathError{Op: link.Op, Path: path, Err: link.Err}
	}
	return err
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// Write writes the archive.
func Write(ctx context.Context, w io.Writer, o Options) (Head, Manifest, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Progress == nil {
		o.Progress = func(string, int64) {}
	}
	head := Head{
		Format: format, ID: rand.Text(), Version: o.Version, MadeAt: o.Now().UTC(), Database: o.Database, Engine: o.Engine, Schema: o.Schema,
		Tables: o.Rows.Schema().Tables, Keys: o.Keys, Secrets: o.Secrets != "",
	}
	for _, p := range o.Places {
		head.Places = append(head.Places, p.Name)
	}
	a := &writer{tar: tar.NewWriter(w), now: head.MadeAt, all: sha256.New(), o: o,
		manifest: Manifest{Tables: make(map[string]TableSum), Blobs: make(map[string]Amount)}}
	err := a.write(ctx, head)
	if err != nil {
		err = fmt.Errorf("backup: %w", err)
	}
	return head, a.manifest, err
}

type writer struct {
	tar      *tar.Writer
	now      time.Time
	o        Options
	manifest Manifest

	sums   bytes.Buffer // lines of entries that are in no sums/ yet
	lines  int
	pieces int
	all    hash.Hash // of all sums/
}

func (a *writer) write(ctx context.Context, head Head) error {
	if err := a.json(headName, head); err != nil {
		return err
	}
	if a.o.Secrets != "" {
		sealed, err := sealSecrets(a.o.Secrets, a.o.Passphrase)
		if err == nil {
			err = a.bytes(secretsName, sealed)
		}
		if err != nil {
			return err
		}
	}
	for i := range head.Tables {
		if err := a.table(ctx, &head.Tables[i]); err != nil {
			return err
		}
	}
	for _, p := range a.o.Places {
		if err := a.objects(ctx, p); err != nil {
			return fmt.Errorf("objects of %s: %w", p.Name, err)
		}
	}
	if err := a.flushSums(); err != nil {
		return err
	}
	a.manifest.Sums = hex.EncodeToString(a.all.Sum(nil))
	text, err := json.MarshalIndent(a.manifest, "", "  ")
	if err == nil {
		err = a.entry(manifestName, int64(len(text)), nil, bytes.NewReader(text), false)
	}
	if err != nil {
		return err
	}
	return a.tar.Close()
}

// table writes the rows of a table in chunks.
func (a *writer) table(ctx context.Context, t *transfer.Table) error {
	var plain []byte
	sum := transfer.NewTally(t)
	chunk := 0
	flush := func() error {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write(plain); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		plain = plain[:0]
		chunk++
		return a.bytes(fmt.Sprintf("%s%s/%06d.gz", rowsFolder, t.Name, chunk), packed.Bytes())
	}
	err := a.o.Rows.Rows(ctx, t, nil, func(r transfer.Row) error {
		sum.Add(r)
		if plain = r.Append(plain); len(plain) >= chunkBytes {
			return flush()
		}
		return nil
	})
	if err == nil && len(plain) > 0 {
		err = flush()
	}
	if err != nil {
		return err
	}
	counter, err := a.o.Rows.Counter(ctx, t)
	a.manifest.Tables[t.Name] = TableSum{sum.Sum(), counter}
	a.o.Progress(t.Name, sum.Sum().Rows)
	return err
}

// objects writes what a store has now. What is appended to meanwhile is taken as long as it was when it was listed, and what is deleted
// meanwhile is left out: the rows of it went before the snapshot or are about to.
func (a *writer) objects(ctx context.Context, p Place) error {
	var amount Amount
	err := p.Store.List(ctx, "", func(i blob.Info) error {
		r, err := p.Store.Open(ctx, i.Key, 0, i.Size)
		if errors.Is(err, blob.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		meta, err := metaOf(ctx, p.Store, i.Key, r)
		if err == nil {
			err = a.entry(blobsFolder+p.Name+"/"+i.Key, i.Size, meta, r, true)
		}
		if err = errors.Join(err, r.Close()); err != nil {
			return fmt.Errorf("%s: %w", i.Key, err)
		}
		amount.Objects++
		amount.Bytes += i.Size
		if amount.Objects%1000 == 0 {
			a.o.Progress(p.Name, amount.Objects)
		}
		return nil
	})
	a.manifest.Blobs[p.Name] = amount
	a.o.Progress(p.Name, amount.Objects)
	return err
}

// metaOf is what is stored with an object that was opened, as records of the archive.
func metaOf(ctx context.Context, s blob.Store, key string, r io.Reader) (map[string]string, error) {
	var meta blob.Meta
	if d, ok := r.(blob.Describer); ok {
		meta = d.Info().Meta
	} else if info, err := s.Stat(ctx, key); err == nil {
		meta = info.Meta
	} else if !errors.Is(err, blob.ErrNotExist) { // it may have gone meanwhile
		return nil, err
	}
	records := make(map[string]string)
	for name, value := range map[string]string{paxType: meta.ContentType, paxCache: meta.CacheControl} {
		if value != "" {
			records[name] = value
		}
	}
	return records, nil
}

func (a *writer) json(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return a.bytes(name, text)
}

func (a *writer) bytes(name string, b []byte) error {
	return a.entry(name, int64(len(b)), nil, bytes.NewReader(b), true)
}

// entry writes one, and notes its checksum for sums/.
func (a *writer) entry(name string, size int64, pax map[string]string, r io.Reader, noted bool) error {
	err := a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: a.now.Truncate(time.Second), Format: tar.FormatPAX, PAXRecords: pax})
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(a.tar, h), io.LimitReader(r, size))
	if err == nil && n != size {
		err = fmt.Errorf("%s: %d bytes of %d: %w", name, n, size, io.ErrUnexpectedEOF)
	}
	if err != nil || !noted {
		return err
	}
	a.manifest.Entries++
	fmt.Fprintf(&a.sums, "%x %d %s\n", h.Sum(nil), size, name)
	if a.lines++; a.lines >= sumsAtOnce {
		return a.flushSums()
	}
	return nil
}

// flushSums writes the checksums of the entries since the last time.
func (a *writer) flushSums() error {
	if a.lines == 0 {
		return nil
	}
	a.pieces++
	a.manifest.Entries++
	text := a.sums.Bytes()
	_, _ = a.all.Write(text) // never fails
	err := a.entry(fmt.Sprintf("%s%06d", sumsFolder, a.pieces), int64(len(text)), nil, bytes.NewReader(text), false)
	a.sums.Reset()
	a.lines = 0
	return err
}
