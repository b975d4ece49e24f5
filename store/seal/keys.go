package seal

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// File is the name of the key file in the folder of secrets.
const File = "master.key"

// Load makes the ring of a site: the keys of the configuration, and behind them those of the file in dir. configured has one or more keys,
// newest first, with commas between them. Where it is empty the file is made, with one random key. The file has a key a line in base64, the
// newest first; a line put in front rotates.
func Load(configured, dir string) (*Ring, error) {
	var masters [][]byte
	for one := range strings.SplitSeq(configured, ",") {
		if one = strings.TrimSpace(one); one != "" {
			masters = append(masters, []byte(one))
		}
	}
	path := filepath.Join(dir, File)
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && len(masters) > 0:
		return New(masters...)
	case errors.Is(err, fs.ErrNotExist):
		if text, err = create(path); err != nil {
			return nil, fmt.Errorf("seal: %w", err)
		}
	case err != nil:
		return nil, fmt.Errorf("seal: %w", err)
	}
	for i, line := range bytes.Split(text, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		master, err := base64.StdEncoding.DecodeString(string(line))
		if err != nil {
			return nil, fmt.Errorf("seal: %s: line %d is no base64", path, i+1)
		}
		masters = append(masters, master)
	}
	if len(masters) == 0 {
		return nil, fmt.Errorf("seal: %s has no key: what it had is needed to read what was sealed with it", path)
	}
	return New(masters...)
}

// create makes the file unless another process was quicker, and reads it.
func create(path string) ([]byte, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	master := make([]byte, MinKey)
	rand.Read(master) // never fails
	f, err := os.CreateTemp(filepath.Dir(path), File+".*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	if _, err = f.WriteString(base64.StdEncoding.EncodeToString(master) + "\n"); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	// A link fails where the file is there already, and is never half written.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(path)
}
