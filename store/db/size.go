package db

import (
	"context"
	"fmt"
)

// Size is about how many bytes the database has on its disk, with what is in no use at the moment.
func (d *DB) Size(ctx context.Context) (bytes int64, err error) {
	question := "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
	if d.engine == PostgreSQL {
		question = "SELECT pg_database_size(current_database())"
	}
	if err := d.reads.QueryRowContext(ctx, question).Scan(&bytes); err != nil {
		return 0, fmt.Errorf("db: size: %w", err)
	}
	return bytes, nil
}
