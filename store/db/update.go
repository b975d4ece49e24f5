package db

import "gorm.io/gorm"

// updateUser and updateStream set columns of one row and count its version up, which is what its ETag tells.
func (q Queries) updateUser(id string, columns map[string]any, now Millis) *gorm.DB {
	return q.user(id).UpdateColumns(versioned(columns, now))
}

func (q Queries) updateStream(id string, columns map[string]any, now Millis) *gorm.DB {
	return q.stream(id).UpdateColumns(versioned(columns, now))
}

func versioned(columns map[string]any, now Millis) map[string]any {
	columns["updated_at"] = now
	columns["version"] = gorm.Expr("version + 1")
	return columns
}
