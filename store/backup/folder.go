package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// ErrNoRoom is returned, wrapped, where the disk of a folder has less free than a backup may need.
var ErrNoRoom = errors.New("backup: the disk has not enough free")

const (
	// reserve is what is left free beside a backup, so that the site can go on.
	reserve = 256 << 20
	// abandoned is after how long without a byte a draft is taken for one whose writer died. Writers write all the time.
	abandoned = time.Hour
)

// Folder keeps the newest of the backups that are made into it. What else lies there, such as backups of other names, is left alone.
type Folder struct {
	Dir string
	// Keep is how many stay.
	Keep int
	// Free tells how many bytes the disk has for us.
	Free func() (uint64, error)
	Now  func() time.Time
}

// inFolder are the names of those made into a folder; the date sorts them.
var inFolder = regexp.MustCompile(`^mediad-\d{8}-\d{6}-[0-9A-Za-z]+\.backup$`)

// Make makes a backup that is called by the moment and id, of letters and digits. needs is how large it may get. ErrNoRoom: nothing was begun.
func (f *Folder) Make(ctx context.Context, id string, needs int64, o Options) (name string, head Head, m Manifest, err error) {
	name = "mediad-" + f.Now().UTC().Format("20060102-150405") + "-" + id + ".backup"
	if !inFolder.MatchString(name) {
		return "", head, m, fmt.Errorf("backup: %q is no name", id)
	}
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return "", head, m, fmt.Errorf("backup: %w", err)
	}
	if err := f.clear(); err != nil {
		return "", head, m, err
	}
	free, err := f.Free()
	if err != nil {
		return "", head, m, fmt.Errorf("backup: free space: %w", err)
	}
	if wanted := uint64(max(needs, 0)) + reserve; free < wanted {
		return "", head, m, fmt.Errorf("%w: %d MiB, and it may need %d", ErrNoRoom, free>>20, wanted>>20)
	}
	head, m, err = Create(ctx, filepath.Join(f.Dir, name), o)
	return name, head, m, err
}

// Trim deletes the oldest beyond Keep, but never the one of that name, and tells how many.
func (f *Folder) Trim(name string) (gone int, err error) {
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return 0, fmt.Errorf("backup: %w", err)
	}
	var others []string
	for _, e := range entries {
		if e.Type().IsRegular() && e.Name() != name && inFolder.MatchString(e.Name()) {
			others = append(others, e.Name())
		}
	}
	slices.Sort(others)
	for _, old := range others[:max(0, len(others)-max(0, f.Keep-1))] {
		if err := os.Remove(filepath.Join(f.Dir, old)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return gone, fmt.Errorf("backup: %w", err)
		}
		gone++
	}
	return gone, nil
}

// clear deletes what writers that died have left: drafts that nobody writes to any more.
func (f *Folder) clear() error {
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	for _, e := range entries {
		draft, _, is := strings.Cut(strings.TrimPrefix(e.Name(), "."), ".backup.")
		if !is || !strings.HasPrefix(e.Name(), ".") || !inFolder.MatchString(draft+".backup") {
			continue
		}
		info, err := e.Info()
		if err == nil && f.Now().Sub(info.ModTime()) > abandoned {
			err = os.Remove(filepath.Join(f.Dir, e.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("backup: %w", err)
		}
	}
	return nil
}
