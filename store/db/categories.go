package db

import "fmt"

// Category is a row of categories: what streams and videos may be about.
type Category struct {
	ID        string
	Slug      string
	Name      string
	Version   int64 // of the list, when the row was changed last
	DeletedAt *Millis
	CreatedAt Millis `gorm:"autoCreateTime:false"`
	UpdatedAt Millis `gorm:"autoUpdateTime:false"`
}

// TableName implements gorm's Tabler.
func (Category) TableName() string { return "categories" }

// CountedCategory is a category with how much everyone finds in lists of it.
type CountedCategory struct {
	Category `gorm:"embedded"`
	Streams  int64
	Videos   int64
}

// CategoriesVersion is that of the list, which rises with each change; 0: there never was a category.
func (q Queries) CategoriesVersion() (int64, error) {
	var newest []int64
	err := q.g.Model(&Category{}).Where("version > 0").Order("version DESC").Limit(1).Pluck("version", &newest).Error
	if err != nil || len(newest) == 0 {
		return 0, wrap("version of categories", err)
	}
	return newest[0], nil
}

// CreateCategory inserts c as the list's next change; ErrDuplicate if its slug is taken.
func (q Queries) CreateCategory(c Category) error {
	version, err := q.CategoriesVersion()
	if err != nil {
		return err
	}
	c.Version = version + 1
	return wrap("create category", q.g.Create(&c).Error)
}

// CountCategories counts those there are, up to most.
func (q Queries) CountCategories(most int) (int, error) {
	var slugs []string
	err := q.g.Model(&Category{}).Where("slug > ? AND deleted_at IS NULL", "").Order("slug").Limit(most).Pluck("slug", &slugs).Error
	return len(slugs), wrap("count categories", err)
}

// FindCategory finds one that is there by id.
func (q Queries) FindCategory(id string) (Category, error) {
	var c Category
	err := q.g.Take(&c, "id = ? AND deleted_at IS NULL", id).Error
	return c, wrap("find category", err)
}

// FindCategoryBySlug finds one that is there by slug.
func (q Queries) FindCategoryBySlug(slug string) (Category, error) {
	var c Category
	err := q.g.Take(&c, "slug = ? AND deleted_at IS NULL", slug).Error
	return c, wrap("find category", err)
}

// countedCategories has what everyone finds of each.
const countedCategories = `SELECT c.*,
	(SELECT count(*) FROM streams s WHERE s.category = c.slug AND s.visibility = 'public' AND s.disabled_at IS NULL) AS streams,
	(SELECT count(*) FROM videos v WHERE v.category = c.slug AND v.category <> '' AND v.visibility = 'public' AND v.state = 'ready' AND v.deleted_at IS NULL) AS videos
	FROM categories c WHERE c.deleted_at IS NULL `

// ListCategories lists those there are by slug, behind the one of a slug, with what everyone finds of them.
func (q Queries) ListCategories(after string, limit int) ([]CountedCategory, error) {
	var found []CountedCategory
	err := q.g.Raw(countedCategories+"AND c.slug > ? ORDER BY c.slug LIMIT ?", after, limit).Scan(&found).Error
	return found, wrap("list categories", err)
}

// CountCategory finds one that is there by slug, with what everyone finds of it.
func (q Queries) CountCategory(slug string) (CountedCategory, error) {
	var found []CountedCategory
	err := q.g.Raw(countedCategories+"AND c.slug = ?", slug).Scan(&found).Error
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return CountedCategory{}, wrap("count category", err)
	}
	return found[0], nil
}

// CategoryUsed says whether a stream or video that is not deleted has the category.
func (q Queries) CategoryUsed(slug string) (bool, error) {
	// The order is that of the index, so that it is taken.
	for _, from := range []string{"streams", "videos"} {
		var ids []string
		err := q.g.Table(from).Where("category = ? AND category <> '' AND deleted_at IS NULL", slug).Order("visibility").Limit(1).Pluck("id", &ids).Error
		if err != nil || len(ids) > 0 {
			return len(ids) > 0, wrap("use of category", err)
		}
	}
	return false, nil
}

// MoveCategory gives up to limit streams, and as many videos, that are not deleted another category, "" none, and says how many of both
// had it.
func (q Queries) MoveCategory(from, to string, limit int, now Millis) (int, error) {
	moved := 0
	for _, m := range []struct {
		table string
		model any
	}{{"streams", &Stream{}}, {"videos", &Video{}}} {
		var ids []string
		err := q.g.Table(m.table).Where("category = ? AND category <> '' AND deleted_at IS NULL", from).Order("visibility").Limit(limit).Pluck("id", &ids).Error
		if err == nil && len(ids) > 0 {
			err = q.g.Model(m.model).Where("id IN ?", ids).UpdateColumns(versioned(map[string]any{"category": to}, now)).Error
		}
		if err != nil {
			return 0, wrap(fmt.Sprintf("move category of %s", m.table), err)
		}
		moved += len(ids)
	}
	return moved, nil
}

// DeleteCategory takes one from the list, as its next change.
func (q Queries) DeleteCategory(id string, now Millis) error {
	version, err := q.CategoriesVersion()
	if err != nil {
		return err
	}
	return one("delete category", q.g.Model(&Category{}).Where("id = ? AND deleted_at IS NULL", id).
		UpdateColumns(map[string]any{"deleted_at": now, "updated_at": now, "version": version + 1}))
}
