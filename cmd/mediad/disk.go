package main

import (
	"path/filepath"
	"syscall"
)

// diskSpace is what is free for us, and the whole, in bytes, on the disk that dir is on or will be made on.
func diskSpace(dir string) (free, total uint64, err error) {
	var fs syscall.Statfs_t
	if dir, err = filepath.Abs(dir); err != nil {
		return 0, 0, err
	}
	for {
		err = syscall.Statfs(dir, &fs)
		parent := filepath.Dir(dir)
		if err == nil || parent == dir {
			break
		}
		dir = parent
	}
	return fs.Bavail * uint64(fs.Bsize), fs.Blocks * uint64(fs.Bsize), err
}
