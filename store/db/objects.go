package db

import "gorm.io/gorm/clause"

// DoomedObject is a row of doomed_objects: an object of the blob store that goes at a moment.
type DoomedObject struct {
	Key   string
	DueAt Millis
}

// TableName implements gorm's Tabler.
func (DoomedObject) TableName() string { return "doomed_objects" }

// DoomObject notes that an object goes at a moment.
func (q Queries) DoomObject(key string, due Millis) error {
	row := DoomedObject{key, due}
	return wrap("doom object", q.g.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "key"}}, DoUpdates: clause.AssignmentColumns([]string{"due_at"}),
	}).Create(&row).Error)
}

// SpareObject notes that an object stays; ErrNotFound if that comes too late, as it has gone.
func (q Queries) SpareObject(key string) error {
	return one("spare object", q.g.Where("key = ?", key).Delete(&DoomedObject{}))
}

// DueObjects lists those that are to go, the longest due first.
func (q Queries) DueObjects(now Millis, limit int) ([]DoomedObject, error) {
	var found []DoomedObject
	err := q.g.Where("due_at <= ?", now).Order("due_at, key").Limit(limit).Find(&found).Error
	return found, wrap("due objects", err)
}

// PostponeObjects has objects that could not be deleted go at a later moment.
func (q Queries) PostponeObjects(keys []string, due Millis) error {
	if len(keys) == 0 {
		return nil
	}
	return wrap("postpone objects", q.g.Model(&DoomedObject{}).Where("key IN ?", keys).Update("due_at", due).Error)
}

// ForgetObjects deletes the rows of objects that are gone.
func (q Queries) ForgetObjects(keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	return wrap("forget objects", q.g.Where("key IN ?", keys).Delete(&DoomedObject{}).Error)
}
