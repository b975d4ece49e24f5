// Package db keeps the platform's rows: users, streams and their keys, sessions, the segment table.
//
//	service ──Tx──► one writer connection  ─┐
//	        ──Read─► pool of readers       ─┴► SQLite in WAL mode, data_dir/mediad.db
//
// A write is a transaction on the single writer connection, so writes queue here instead of failing as busy; a read sees
// everything committed before it began. Queries has one method a statement, one file a noun. No goroutine is started
// beyond those of database/sql, which end with Close.
package db
