package edge

import (
	"container/list"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// disk holds media in files within a bound in bytes, and finds them again after a restart. docs/formats/edge.md draws the folder. Files are
// written whole under another name and then renamed; who reads one that is removed goes on reading.
type disk struct {
	dir     string
	bound   int64
	evicted func(objects int)

	mu    sync.Mutex // guards the following
	size  int64
	order list.List // of *stored, the newest first
	byID  map[id]*list.Element
}

// id names a file: the beginning of the SHA-256 of its key.
type id [20]byte

type stored struct {
	id   id
	size int64 // as it counts
	// checked says that this process wrote or read the whole of it: a file that a crash of the machine left may be anything.
	checked bool
	touched time.Time // when its file was told that it is in use
}

// block is what a file takes at least, and in multiples: small ones must not outgrow the bound by what the file system adds.
const block = 4 << 10

func counted(size int64) int64 { return (size + block - 1) / block * block }

// touchAfter is how often a file is told that it is in use, so that a restart knows which are.
const touchAfter = time.Hour

const (
	originFile = "origin" // says whose media it is
	tempPrefix = "new-"
)

func idOf(key string) (i id) {
	sum := sha256.Sum256([]byte(key))
	copy(i[:], sum[:])
	return i
}

func (d *disk) path(i id) string {
	name := hex.EncodeToString(i[:])
	return filepath.Join(d.dir, name[:2], name[2:])
}

// idFrom is the reverse of path below the folder; false for what is none of ours.
func (d *disk) idFrom(rel string) (i id, ok bool) {
	raw, err := hex.DecodeString(strings.Replace(rel, string(filepath.Separator), "", 1))
	if err != nil || len(raw) != len(i) {
		return i, false
	}
	copy(i[:], raw)
	return i, d.path(i) == filepath.Join(d.dir, rel)
}

// openDisk takes the folder over. What another origin left there is removed: names come back with another.
func openDisk(dir, origin string, bound int64, evicted func(int)) (*disk, error) {
	d := &disk{dir: dir, bound: bound, evicted: evicted, byID: map[id]*list.Element{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	whose, err := os.ReadFile(filepath.Join(dir, originFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	found, err := d.scan(string(whose) == origin)
	if err != nil {
		return nil, err
	}
	if string(whose) != origin {
		if err := os.WriteFile(filepath.Join(dir, originFile), []byte(origin), 0o600); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(found, func(a, b *stored) int { return a.touched.Compare(b.touched) })
	for _, s := range found {
		d.byID[s.id] = d.order.PushFront(s)
		d.size += s.size
	}
	d.mu.Lock()
	old := d.room(0)
	d.mu.Unlock()
	d.remove(old)
	return d, nil
}

// scan lists the files of ours, and removes those that were not finished or, where ours is not set, all. Nothing else is touched.
func (d *disk) scan(ours bool) (found []*stored, err error) {
	err = filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(d.dir, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			if rel != "." && len(rel) != 2 {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasPrefix(rel, tempPrefix) {
			return os.Remove(path)
		}
		i, mine := d.idFrom(rel)
		if !mine {
			return nil
		}
		if !ours {
			return os.Remove(path)
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		found = append(found, &stored{id: i, size: counted(info.Size()), touched: info.ModTime()})
		return nil
	})
	return found, err
}

// room makes room for need bytes and returns what has to be removed for it. mu is held.
func (d *disk) room(need int64) (old []id) {
	for d.size+need > d.bound && d.order.Len() > 0 {
		e := d.order.Back()
		old = append(old, storedBy(e).id)
		d.forget(e)
	}
	return old
}

func (d *disk) forget(e *list.Element) {
	s := storedBy(e)
	d.order.Remove(e)
	delete(d.byID, s.id)
	d.size -= s.size
}

// remove deletes files that are no longer listed. One that comes again meanwhile may lose its file by it; whoever looks for it then
// finds nothing, and it is fetched once more.
func (d *disk) remove(old []id) {
	for _, i := range old {
		_ = os.Remove(d.path(i)) // one that cannot be removed is found by the next start
	}
	if len(old) > 0 {
		d.evicted(len(old))
	}
}

// put keeps an object.
func (d *disk) put(key string, o *object) error {
	tail, err := encodeTail(key, o)
	if err != nil {
		return err
	}
	i, size := idOf(key), counted(int64(len(o.body)+len(tail)))
	if size > d.bound/4 {
		return nil // it would push out much of the rest
	}
	d.mu.Lock()
	if d.byID[i] != nil {
		d.mu.Unlock()
		return nil
	}
	old := d.room(size)
	d.size += size // reserved, so that those who write at once stay within the bound together
	d.mu.Unlock()
	d.remove(old)
	err = d.write(d.path(i), o.body, tail)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil || d.byID[i] != nil {
		d.size -= size
		return err
	}
	d.byID[i] = d.order.PushFront(&stored{id: i, size: size, checked: true, touched: time.Now()})
	return nil
}

func (d *disk) write(path string, pieces ...[]byte) error {
	f, err := os.CreateTemp(d.dir, tempPrefix+"*")
	if err != nil {
		return err
	}
	for _, b := range pieces {
		if err == nil {
			_, err = f.Write(b)
		}
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
		if errors.Is(err, fs.ErrNotExist) {
			if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
				err = os.Rename(f.Name(), path)
			}
		}
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// file is an open object of the disk: its body is the first size bytes of f.
type file struct {
	f    *os.File
	size int64
	head *object // without a body
}

// open returns the object of a key, nil if there is none. The caller closes it.
func (d *disk) open(key string) *file {
	i := idOf(key)
	d.mu.Lock()
	e := d.byID[i]
	if e == nil {
		d.mu.Unlock()
		return nil
	}
	d.order.MoveToFront(e)
	s := storedBy(e)
	checked, touch := s.checked, time.Since(s.touched) > touchAfter
	if touch {
		s.touched = time.Now()
	}
	d.mu.Unlock()
	f, err := d.read(i, key, checked)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		if d.byID[i] == e {
			d.forget(e)
			_ = os.Remove(d.path(i)) // it is of no use
		}
		return nil
	}
	s.checked = true
	if touch {
		now := time.Now()
		_ = os.Chtimes(d.path(i), now, now) // the order after a restart is a little worse without
	}
	return f
}

func (d *disk) read(i id, key string, checked bool) (*file, error) {
	f, err := os.Open(d.path(i))
	if err != nil {
		return nil, err
	}
	head, size, err := decodeTail(f, key, !checked)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", f.Name(), err), f.Close())
	}
	return &file{f: f, size: size, head: head}, nil
}

func (d *disk) usage() (bytes int64, objects int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.size, len(d.byID)
}

// storedBy is what an element of order holds: nothing else is ever put there.
func storedBy(e *list.Element) *stored {
	s, _ := e.Value.(*stored)
	return s
}
