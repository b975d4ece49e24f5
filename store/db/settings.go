package db

import "gorm.io/gorm/clause"

// Setting is a row of settings: what an admin set while the server ran.
type Setting struct {
	Key       string `gorm:"primaryKey"`
	Value     string
	IsSet     bool // false: it was taken back
	UpdatedBy string
	UpdatedAt Millis `gorm:"autoUpdateTime:false"`
	Version   int64  // counts the changes
}

// TableName implements gorm's Tabler.
func (Setting) TableName() string { return "settings" }

// FindSettings finds those of the keys that were ever set.
func (q Queries) FindSettings(keys []string) ([]Setting, error) {
	var found []Setting
	err := q.g.Where("key IN ?", keys).Order("key").Find(&found).Error
	return found, wrap("find settings", err)
}

// SaveSetting inserts the row or replaces it.
func (q Queries) SaveSetting(s Setting) error {
	return wrap("save setting", q.g.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "key"}}, DoUpdates: clause.AssignmentColumns([]string{"value", "is_set", "updated_by", "updated_at", "version"}),
	}).Create(&s).Error)
}
