// Package backup keeps a whole site in one file, and makes a site of it again, on either database.
//
//	Create: snapshot of the rows ─► rows/… ┐
//	        objects of the stores ─► blobs/… ├─ tar, written beside its name, synced, and given the name last
//	        secrets, by a passphrase         ┘
//	Open:   the whole file is read once and every checksum compared, before anything of it is used
//
// docs/formats/backup.md has the form. No goroutine is started.
package backup

import (
	"errors"
	"time"

	"mediad/store/db/transfer"
)

// ErrDamaged is returned, wrapped, for a file that is not what was written: cut short, or altered.
var ErrDamaged = errors.New("backup: the file is damaged")

// ErrFormat is returned, wrapped, for what is no backup of ours, or one that a later mediad has written.
var ErrFormat = errors.New("backup: no backup that this program knows")

// ErrPassphrase is returned, wrapped, where secrets cannot be opened.
var ErrPassphrase = errors.New("backup: the passphrase is wrong, or the secrets were altered")

// format is the number of the form; a program refuses those above its own.
const format = 1

// The names in the archive.
const (
	headName     = "mediad-backup.json"
	manifestName = "manifest.json"
	secretsName  = "secrets.sealed"
	rowsFolder   = "rows/"
	blobsFolder  = "blobs/"
	sumsFolder   = "sums/"
)

// Head is the first entry: what the backup is of.
type Head struct {
	Format int `json:"format"`
	// ID is another for each backup.
	ID string `json:"id"`
	// Version of the program, and the moment of the rows.
	Version string    `json:"version"`
	MadeAt  time.Time `json:"made_at"`
	// Database is where the rows were, without secrets, Engine its kind, and Schema the number of its newest migration.
	Database string `json:"database"`
	Engine   string `json:"engine"`
	Schema   int64  `json:"schema"`
	// Tables in the order in which rows can be stored.
	Tables []transfer.Table `json:"tables"`
	// Keys are the ids of the master keys that are needed to read what is sealed in the rows.
	Keys []string `json:"keys"`
	// Places of which there are objects: local, bucket.
	Places  []string `json:"places"`
	Secrets bool     `json:"secrets"`
}

// Manifest is the last entry: how much there is.
type Manifest struct {
	Tables map[string]TableSum `json:"tables"`
	Blobs  map[string]Amount   `json:"blobs"` // by place
	// Entries is how many entries the archive has besides this one, and Sums the SHA-256 of those below sums/ one after the other.
	Entries int    `json:"entries"`
	Sums    string `json:"sums"`
}

// TableSum is of one table.
type TableSum struct {
	transfer.Sum
	Counter int64 `json:"counter,omitempty"`
}

// Amount of objects.
type Amount struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
}
