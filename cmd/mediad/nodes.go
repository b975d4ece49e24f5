package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"

	"mediad/api/stream"
	"mediad/api/video"
	"mediad/store/db"
)

// A node is a data folder with a server on it: what it has on air and on its disk is its own over restarts, so its name lies in that folder.
// Nodes of one database tell each other each two seconds that they are there. Of one that is late by six a publisher may take its stream
// elsewhere; what one that is silent for 30 s had on air is ended by another.
//
//	data_dir/node ──► join ─┬─► beat, each 2 s ──► what others ended meanwhile is cut here
//	                        └─► sweep, each 10 s: what silent nodes left
//
// On SQLite there is one node, and none of that.
const (
	nodeBeat   = 2 * time.Second
	nodeLate   = 6 * time.Second
	nodeSweep  = 10 * time.Second
	nodeSilent = 30 * time.Second
	// nodeGone is after how long a silent node is taken for gone for good, and what it keeps for anybody's.
	nodeGone = 7 * 24 * time.Hour
	// joinLook is how often is looked whether another process with this node's id still beats.
	joinLook = time.Second
)

// nodeFile is where a node's id lies in the data folder.
const nodeFile = "node"

// nodeID reads a node's id, and makes it where there is none.
func nodeID(dataDir string) (string, error) {
	id, err := readNodeID(dataDir)
	if err != nil || id != "" {
		return id, err
	}
	made, err := uuid.NewV7()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return "", fmt.Errorf("data_dir: %w", err)
	}
	// The first of two processes that make one at the same time wins.
	f, err := os.CreateTemp(dataDir, nodeFile+"-*")
	if err != nil {
		return "", fmt.Errorf("data_dir: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(made.String() + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Link(f.Name(), filepath.Join(dataDir, nodeFile))
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("data_dir: %w", err)
	}
	return readNodeID(dataDir)
}

// readNodeID is "" where there is none.
func readNodeID(dataDir string) (string, error) {
	file := filepath.Join(dataDir, nodeFile)
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("data_dir: %w", err)
	}
	id := strings.TrimSpace(string(text))
	if uuid.Validate(id) != nil {
		return "", fmt.Errorf("data_dir: %s has no id of a node: remove it, a new one is made", file)
	}
	return id, nil
}

// placeOf names where a data folder is, so that a copy of it, also of the whole machine, is told from it. Who is at the same place as a former
// process has the folder's lock now, so that one is gone.
func placeOf(lock *os.File) (string, error) {
	info, err := lock.Stat()
	if err != nil {
		return "", err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		boot = []byte(hostName()) // elsewhere than on Linux
	}
	var file string
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		file = fmt.Sprint(s.Dev, " ", s.Ino)
	}
	sum := sha256.Sum256([]byte(string(boot) + "\n" + file))
	return hex.EncodeToString(sum[:16]), nil
}

// cluster is this node among those of its database. nil: it is alone.
type cluster struct {
	db      *db.DB
	streams *stream.Service
	videos  *video.Service
	self    db.Node
	log     *slog.Logger
	now     func() time.Time

	beat, late, each, silent, gone time.Duration

	onAir func() []string      // ids of the sessions on air here
	yield func(session string) // ends one that others have ended
	taken func()               // there may be recordings that were not this node's

	since atomic.Pointer[time.Time] // from when on all beats came through; nil: the last one did not

	// What follows is the sweep's.
	reached string                      // the keeper that was looked at last
	swept   map[sweepPlace]db.Recording // up to where recordings were looked at
}

// newCluster is nil where nobody else can have the database.
func newCluster(s *site, lock *os.File, now func() time.Time, log *slog.Logger) (*cluster, error) {
	if s.db.Engine() == db.SQLite {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	place, err := placeOf(lock)
	if err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	run, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	return &cluster{
		db: s.db, streams: s.streams, videos: s.videos, self: db.Node{ID: s.node, Run: run.String(), Place: place, Host: hostName()},
		log: log, now: now, beat: nodeBeat, late: nodeLate, each: nodeSweep, silent: nodeSilent, gone: nodeGone,
		onAir: func() []string { return nil }, yield: func(string) {}, taken: func() {}, swept: make(map[sweepPlace]db.Recording),
	}, nil
}

// join takes the node's id for this process. Where another one, elsewhere, had it a moment ago, that either was killed and will be silent, or
// goes on: then this one has a copy of its data folder.
func (c *cluster) join(ctx context.Context) error {
	if c == nil {
		return nil
	}
	var first db.Node
	for tries := 0; ; tries++ {
		other, err := c.claim(ctx)
		switch {
		case err == nil:
			return c.greet(ctx)
		case !errors.Is(err, db.ErrNodeTaken):
			return fmt.Errorf("database: %w", err)
		case tries == 0:
			first = other
			c.log.Warn("another process had this node's id a moment ago, at another place: waiting until it is silent", "node", other.ID, "host", other.Host)
		case other.Run != first.Run || other.BeatAt != first.BeatAt:
			return fmt.Errorf("data_dir: node %s runs elsewhere, on host %q: this folder is a copy of its. Remove the file %s in this folder, and it is another node",
				other.ID, other.Host, nodeFile)
		}
		wait := time.NewTimer(joinLook)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		}
	}
}

// greet logs which other nodes there are.
func (c *cluster) greet(ctx context.Context) error {
	nodes, err := c.db.Read(ctx).ListNodes()
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	for _, other := range nodes {
		if other.ID != c.self.ID {
			c.log.Info("another node has this database", "node", other.ID, "host", other.Host, "stopped", other.Run == "", "last_heard", other.BeatAt.Time())
		}
	}
	c.log.Info("this node", "node", c.self.ID)
	return nil
}

func (c *cluster) claim(ctx context.Context) (other db.Node, err error) {
	err = c.db.Tx(ctx, func(q db.Queries) error {
		other, err = q.ClaimNode(c.self, c.silent.Milliseconds())
		return err
	})
	return other, err
}

// hold tells that this node is there while it starts, until stop is called: reading journals may take longer than others wait, who would end
// what is to go on.
func (c *cluster) hold(ctx context.Context) (stop func()) {
	if c == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(c.beat)
		defer tick.Stop()
		for {
			if _, err := c.tell(ctx); err != nil {
				return // Run says so
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

// Run tells that this node is there until ctx ends. It fails where another process takes the node's id.
func (c *cluster) Run(ctx context.Context) error {
	tick := time.NewTicker(c.beat)
	defer tick.Stop()
	for {
		if err := c.round(ctx); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			if err := c.db.Write(last).StopNode(c.self.ID, c.self.Run); err != nil {
				c.log.Warn("other nodes are not told of the stop", "error", err)
			}
			return nil
		}
	}
}

// round is what Run does each time. What fails is tried again the next time.
func (c *cluster) round(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.beat)
	defer cancel()
	told, err := c.tell(ctx)
	if err != nil || !told {
		return err
	}
	if err := c.fence(ctx); err != nil && ctx.Err() == nil {
		c.log.Warn("what other nodes ended is not known", "error", err)
	}
	return nil
}

// tell is one beat. It fails where another process has the node's id.
func (c *cluster) tell(ctx context.Context) (told bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.beat)
	defer cancel()
	began := c.now()
	err = c.db.Write(ctx).BeatNode(c.self.ID, c.self.Run)
	if errors.Is(err, db.ErrNodeTaken) {
		var other db.Node
		if other, err = c.claim(ctx); errors.Is(err, db.ErrNodeTaken) {
			return false, fmt.Errorf("node %s: a server on host %q has taken its id: their data folders are copies of each other", c.self.ID, other.Host)
		}
	}
	if err != nil {
		c.since.Store(nil)
		if ctx.Err() == nil {
			c.log.Warn("other nodes are not told that this one is there", "error", err)
		}
		return false, nil
	}
	c.since.CompareAndSwap(nil, &began)
	return true, nil
}

// steady is for how long all beats have come through. After a time without the database all others are late by their rows: they are given as
// long to beat again.
func (c *cluster) steady() time.Duration {
	since := c.since.Load()
	if since == nil {
		return 0
	}
	return c.now().Sub(*since) // by the monotonic clock: a step of the wall clock makes nobody silent
}

// patience is how late the beat of a node may be that keeps its streams.
func (c *cluster) patience() time.Duration {
	if c.steady() > c.late {
		return c.late
	}
	return c.silent
}

// fence ends here what another node has ended, as this one was silent.
func (c *cluster) fence(ctx context.Context) error {
	ids := c.onAir()
	if len(ids) == 0 {
		return nil
	}
	ended, err := c.db.Read(ctx).EndedOf(ids)
	if err != nil {
		return err
	}
	for _, id := range ended {
		c.log.Error("a session was ended by another node, as this one could not reach the database for so long: its publisher is cut, and may begin anew", "session", id)
		c.yield(id)
	}
	return nil
}
