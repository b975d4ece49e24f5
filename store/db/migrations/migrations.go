// Package migrations holds the numbered schema changes, one folder a dialect and the same numbers and names in each: a
// test compares what comes of them.
//
//	              SQLite      PostgreSQL
//	ids, text     TEXT        TEXT COLLATE "C": sorted by bytes on both, whatever the server's language
//	times, counts INTEGER     BIGINT
//	yes or no     INTEGER     BOOLEAN; with CHECK (x IN (0, 1)) in SQLite
//	bytes         BLOB        BYTEA
//
// Times are integers: columns named _at in unix milliseconds, _ns in nanoseconds. Ids are UUIDv7 in lower-case text.
package migrations

import "embed"

// FS has a folder for each dialect, with files NNNN_name.sql for goose.
//
//go:embed sqlite/*.sql postgres/*.sql
var FS embed.FS
