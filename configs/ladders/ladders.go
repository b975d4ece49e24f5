// Package ladders holds the named ladders: which rungs there may be, and their bitrates. Each is a YAML file here, or one of an
// operator's in a folder "ladders" beside the configuration file, which goes first.
package ladders

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

//go:embed *.yaml
var files embed.FS

// Ladder is one named ladder.
type Ladder struct {
	// Fit is "machine" where no more rungs are taken than the machine's cores carry; empty: all that fit the source.
	Fit string `yaml:"fit"`
	// Rungs, heaviest first.
	Rungs []Rung `yaml:"rungs"`
}

// Rung is what a rung may become.
type Rung struct {
	Name   string `yaml:"name"`    // of the rendition, a path element
	Lines  int    `yaml:"lines"`   // of the picture's shorter side
	Kbps30 int64  `yaml:"kbps_30"` // of the video in kbit/s, at up to 30 pictures a second
	Kbps60 int64  `yaml:"kbps_60"` // at up to 60
}

// FitMachine is the value of Ladder.Fit that asks for no more than the machine carries.
const FitMachine = "machine"

const (
	maxFile  = 64 << 10 // bytes; a real one has a few hundred
	maxRungs = 6
	maxKbps  = 100_000
)

var (
	rungName   = regexp.MustCompile(`^[a-z0-9]{1,16}$`)
	ladderName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

// Names are those of the ladders that come with the server.
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil // an embedded folder is always there
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// Named reads a ladder: NAME.yaml in dir, if dir is given and has one, else the one that comes with the server.
func Named(name, dir string) (Ladder, error) {
	if !ladderName.MatchString(name) {
		return Ladder{}, fmt.Errorf("ladder %q: a name has letters, digits, - and _", name)
	}
	text, err := read(name+".yaml", dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Ladder{}, fmt.Errorf("there is no ladder %q; there are off, %s", name, strings.Join(Names(), ", "))
	}
	if err != nil {
		return Ladder{}, fmt.Errorf("ladder %q: %w", name, err)
	}
	l, err := parse(text)
	if err != nil {
		return Ladder{}, fmt.Errorf("ladder %q: %w", name, err)
	}
	return l, nil
}

func read(file, dir string) ([]byte, error) {
	if dir == "" {
		return files.ReadFile(file)
	}
	f, err := os.Open(filepath.Join(dir, file))
	if errors.Is(err, fs.ErrNotExist) {
		return files.ReadFile(file)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("more than %d bytes", maxFile)
	}
	return b, err
}

func parse(text []byte) (Ladder, error) {
	var l Ladder
	if err := yaml.UnmarshalWithOptions(text, &l, yaml.Strict()); err != nil {
		return l, err
	}
	if l.Fit != "" && l.Fit != FitMachine {
		return l, fmt.Errorf("fit is %q, neither empty nor %s", l.Fit, FitMachine)
	}
	if len(l.Rungs) < 1 || len(l.Rungs) > maxRungs {
		return l, fmt.Errorf("%d rungs, not 1 to %d", len(l.Rungs), maxRungs)
	}
	for i, r := range l.Rungs {
		switch {
		case !rungName.MatchString(r.Name) || r.Name == "source" || r.Name == "audio":
			return l, fmt.Errorf("rung %q: a name has up to 16 small letters and digits and is neither source nor audio", r.Name)
		case r.Lines < 32 || r.Lines > 4320 || r.Lines%2 != 0:
			return l, fmt.Errorf("rung %s: %d lines, not an even number from 32 to 4320", r.Name, r.Lines)
		case r.Kbps30 < 50 || r.Kbps30 > maxKbps || r.Kbps60 < r.Kbps30 || r.Kbps60 > maxKbps:
			return l, fmt.Errorf("rung %s: bitrates of %d and %d kbit/s: from 50 to %d, the second not below the first", r.Name, r.Kbps30, r.Kbps60, maxKbps)
		case i > 0 && r.Lines >= l.Rungs[i-1].Lines:
			return l, fmt.Errorf("rung %s: not smaller than %s before it", r.Name, l.Rungs[i-1].Name)
		case slices.ContainsFunc(l.Rungs[:i], func(o Rung) bool { return o.Name == r.Name }):
			return l, fmt.Errorf("rung %s: named twice", r.Name)
		}
	}
	return l, nil
}
