// Package migrations holds the numbered schema changes, one folder a dialect and the same numbers in each.
//
// Times are integers: columns named _at in unix milliseconds, _ns in nanoseconds. Ids are UUIDv7 in lower-case text.
package migrations

import "embed"

// FS has a folder for each dialect, with files NNNN_name.sql for goose.
//
//go:embed sqlite/*.sql
var FS embed.FS
