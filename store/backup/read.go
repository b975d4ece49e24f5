package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"mediad/store/blob"
	"mediad/store/db/transfer"
)

const (
	// maxText bounds what is read as a description: a site has a hundred tables, and sums/ a thousand lines.
	maxText = 16 << 20
	// maxChunk bounds an unpacked chunk of rows: one row may follow when it is nearly full.
	maxChunk = 256 << 20
)

// Backup is a file that was read once and found whole.
type Backup struct {
	Head     Head
	Manifest Manifest

	file    *os.File
	schema  *transfer.Schema
	rows    map[string][]piece // by table, in order
	secrets piece
}

// piece is where the bytes of an entry are.
type piece struct{ offset, size int64 }

var _ transfer.Source = (*Backup)(nil)

// Open reads the file from its beginning to its end and compares all checksums. ErrFormat: it is no backup of ours; ErrDamaged: it is not what
// was written.
func Open(ctx context.Context, path string) (*Backup, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	b := &Backup{file: f, rows: make(map[string][]piece)}
	if err := b.examine(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	b.schema = &transfer.Schema{Tables: b.Head.Tables}
	if err := b.compare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return b, nil
}

// Close closes the file.
func (b *Backup) Close() error { return b.file.Close() }

// examination is how far the file was read.
type examination struct {
	lines   bytes.Buffer // what sums/ must have
	entries int
	blobs   map[string]Amount
}

func (b *Backup) examine(ctx context.Context) error {
	e := examination{blobs: make(map[string]Amount)}
	sums := sha256.New()
	r := tar.NewReader(b.file)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: it ends before its list of contents", ErrDamaged)
		}
		if err != nil {
			return b.broken(e.entries, err)
		}
		if e.entries == 0 && h.Name != headName {
			return fmt.Errorf("%w: it begins with %q", ErrFormat, h.Name)
		}
		if h.Typeflag != tar.TypeReg {
			return fmt.Errorf("%w: %q is no file", ErrDamaged, h.Name)
		}
		if h.Name == manifestName {
			return b.finish(r, h.Size, &e, hex.EncodeToString(sums.Sum(nil)))
		}
		e.entries++
		if strings.HasPrefix(h.Name, sumsFolder) {
			text, err := text(r, h.Size)
			if err != nil {
				return b.broken(e.entries, err)
			}
			if err := sameLines(e.lines.Bytes(), text); err != nil {
				return err
			}
			_, _ = sums.Write(text) // never fails
			e.lines.Reset()
			continue
		}
		if err := b.entry(r, h, &e); err != nil {
			return b.broken(e.entries, err)
		}
	}
}

// broken is an error of reading: at the beginning it is no backup at all, and later it is a damaged one.
func (b *Backup) broken(entries int, err error) error {
	switch {
	case errors.Is(err, ErrFormat) || errors.Is(err, ErrDamaged):
		return err
	case entries == 0:
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// entry reads one, and notes its checksum.
func (b *Backup) entry(r io.Reader, h *tar.Header, e *examination) error {
	offset, err := b.file.Seek(0, io.SeekCurrent) // the reader takes block by block, never ahead
	if err != nil {
		return err
	}
	sum := sha256.New()
	if h.Name == headName {
		text, err := text(r, h.Size)
		if err != nil {
			return err
		}
		_, _ = sum.Write(text) // never fails
		if err := json.Unmarshal(text, &b.Head); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if b.Head.Format > format || b.Head.Format < 1 {
			return fmt.Errorf("%w: form %d, known up to %d: a later mediad has written it", ErrFormat, b.Head.Format, format)
		}
	} else if _, err := io.Copy(sum, r); err != nil {
		return err
	}
	if table, ok := strings.CutPrefix(h.Name, rowsFolder); ok {
		table, _, _ = strings.Cut(table, "/")
		b.rows[table] = append(b.rows[table], piece{offset, h.Size})
	}
	if rest, ok := strings.CutPrefix(h.Name, blobsFolder); ok {
		place, _, _ := strings.Cut(rest, "/")
		a := e.blobs[place]
		e.blobs[place] = Amount{a.Objects + 1, a.Bytes + h.Size}
	}
	if h.Name == secretsName {
		b.secrets = piece{offset, h.Size}
	}
	fmt.Fprintf(&e.lines, "%x %d %s\n", sum.Sum(nil), h.Size, h.Name)
	if e.lines.Len() > maxText {
		return fmt.Errorf("%w: checksums are missing", ErrDamaged)
	}
	return nil
}

// sameLines compares checksums as they are with those that were written.
func sameLines(are, written []byte) error {
	a, w := bufio.NewScanner(bytes.NewReader(are)), bufio.NewScanner(bytes.NewReader(written))
	for a.Scan() {
		if !w.Scan() || a.Text() != w.Text() {
			_, name, _ := strings.Cut(a.Text(), " ")
			_, name, _ = strings.Cut(name, " ")
			return fmt.Errorf("%w: %s is not what was written", ErrDamaged, name)
		}
	}
	if w.Scan() {
		return fmt.Errorf("%w: entries are missing", ErrDamaged)
	}
	return nil
}

// finish reads the manifest.
func (b *Backup) finish(r io.Reader, size int64, e *examination, sums string) error {
	text, err := text(r, size)
	if err == nil {
		err = json.Unmarshal(text, &b.Manifest)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if b.Manifest.Entries != e.entries || b.Manifest.Sums != sums || e.lines.Len() > 0 {
		return fmt.Errorf("%w: its contents are not those of its list", ErrDamaged)
	}
	for place, amount := range b.Manifest.Blobs {
		if e.blobs[place] != amount {
			return fmt.Errorf("%w: there are not as many objects of %s as were written", ErrDamaged, place)
		}
	}
	return nil
}

// compare reads the rows and compares them with the sums of their tables.
func (b *Backup) compare(ctx context.Context) error {
	for i := range b.Head.Tables {
		t := &b.Head.Tables[i]
		for _, at := range t.Key {
			if at < 0 || at >= len(t.Columns) {
				return fmt.Errorf("%w: key of %s", ErrDamaged, t.Name)
			}
		}
		sum, err := transfer.SumOf(ctx, b, t, nil)
		if err != nil {
			return err
		}
		if sum != b.Manifest.Tables[t.Name].Sum {
			return fmt.Errorf("%w: rows of %s", ErrDamaged, t.Name)
		}
	}
	return nil
}

func text(r io.Reader, size int64) ([]byte, error) {
	if size > maxText {
		return nil, fmt.Errorf("%d bytes of text", size)
	}
	b := make([]byte, size)
	_, err := io.ReadFull(r, b)
	return b, err
}

func (b *Backup) read(p piece) ([]byte, error) {
	if p.size > maxText {
		return nil, fmt.Errorf("%w: an entry of %d bytes", ErrDamaged, p.size)
	}
	out := make([]byte, p.size)
	if _, err := b.file.ReadAt(out, p.offset); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return out, nil
}

// Schema implements transfer.Source.
func (b *Backup) Schema() *transfer.Schema { return b.schema }

// Counter implements transfer.Source.
func (b *Backup) Counter(_ context.Context, t *transfer.Table) (int64, error) {
	return b.Manifest.Tables[t.Name].Counter, nil
}

// Rows implements transfer.Source. A chunk of them is in memory at a time.
func (b *Backup) Rows(ctx context.Context, t *transfer.Table, after transfer.Row, fn func(transfer.Row) error) error {
	for _, p := range b.rows[t.Name] {
		z, err := gzip.NewReader(io.NewSectionReader(b.file, p.offset, p.size))
		if err != nil {
			return fmt.Errorf("%w: rows of %s: %w", ErrDamaged, t.Name, err)
		}
		plain, err := io.ReadAll(io.LimitReader(z, maxChunk+1))
		if err != nil || len(plain) > maxChunk {
			return fmt.Errorf("%w: rows of %s: %d bytes: %w", ErrDamaged, t.Name, len(plain), err)
		}
		for len(plain) > 0 {
			var r transfer.Row
			if r, plain, err = transfer.ReadRow(plain, len(t.Columns)); err != nil {
				return fmt.Errorf("%w: rows of %s: %w", ErrDamaged, t.Name, err)
			}
			if after != nil {
				if t.KeyOf(r).Equal(after) {
					after = nil
				}
				continue
			}
			if err := errors.Join(ctx.Err(), fn(r)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Object is one of a store.
type Object struct {
	Place, Key string
	Size       int64
	Meta       blob.Meta
}

// Objects calls fn with each object and its bytes.
func (b *Backup) Objects(ctx context.Context, fn func(o Object, r io.Reader) error) error {
	if _, err := b.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	r := tar.NewReader(b.file)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		rest, ok := strings.CutPrefix(h.Name, blobsFolder)
		if !ok {
			continue
		}
		place, key, _ := strings.Cut(rest, "/")
		o := Object{Place: place, Key: key, Size: h.Size, Meta: blob.Meta{ContentType: h.PAXRecords[paxType], CacheControl: h.PAXRecords[paxCache]}}
		if err := fn(o, r); err != nil {
			return fmt.Errorf("backup: %s: %w", h.Name, err)
		}
	}
}
