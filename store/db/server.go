package db

import (
	"context"
	"fmt"
	"time"
)

// Server is the program behind the database.
type Server struct {
	// Name and version, as PostgreSQL 15.18.
	Name string
	// ClockAhead is how far its clock is ahead of ours, give or take half of Took.
	ClockAhead time.Duration
	// Took is how long a question and its answer are under way.
	Took time.Duration
	// Encrypted says whether connections to it are.
	Encrypted bool
}

// Server asks the database what it is.
func (d *DB) Server(ctx context.Context) (Server, error) {
	ctx, cancel := context.WithTimeout(ctx, statementLimit)
	defer cancel()
	conn, err := d.reads.Conn(ctx)
	if err != nil {
		return Server{}, fmt.Errorf("db: server: %w", err)
	}
	defer conn.Close()
	var version string
	if d.engine == SQLite {
		err := conn.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version)
		if err != nil {
			return Server{}, fmt.Errorf("db: server: %w", err)
		}
		return Server{Name: "SQLite " + version}, nil
	}
	s := Server{}
	const ssl = "SELECT current_setting('server_version'), COALESCE((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), FALSE)"
	if err := conn.QueryRowContext(ctx, ssl).Scan(&version, &s.Encrypted); err != nil {
		return Server{}, fmt.Errorf("db: server: %w", err)
	}
	s.Name = "PostgreSQL " + version
	const clock = "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint"
	for range 2 { // the first prepares the statement
		var micros int64
		asked := time.Now()
		if err := conn.QueryRowContext(ctx, clock).Scan(&micros); err != nil {
			return Server{}, fmt.Errorf("db: server: %w", err)
		}
		s.Took = time.Since(asked)
		s.ClockAhead = time.UnixMicro(micros).Sub(asked.Add(s.Took / 2))
	}
	return s, nil
}
