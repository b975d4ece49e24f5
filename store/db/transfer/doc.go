// Package transfer moves the rows of a site: from one database into another of either kind, or into a backup and back.
//
//	database ──Snapshot──► Schema: tables, columns, keys as the database itself tells them
//	                          │
//	                       pages in the order of the primary key ──► Row: values that are the same on both engines
//	                          │                                        │
//	                          ├──► Load: batches, each a transaction   └──► Sum: count and checksum of a table's rows
//	                          └──► Writer: chunks of a backup ◄──► Reader
//
// Nothing here knows a table by name but excluded (schema.go), so new migrations need no change. A load that was stopped goes on behind
// the last row of each table that has come, as rows come in the order of their keys. No goroutine is started.
package transfer
