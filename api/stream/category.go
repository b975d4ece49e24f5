package stream

import (
	"context"
	"errors"

	"mediad/store/db"
)

// checkCategory refuses a new category that is not in the site's list. One that a stream has already stays, whatever the list says.
func checkCategory(q db.Queries, category, before string) error {
	if category == "" || category == before {
		return nil
	}
	_, err := q.FindCategoryBySlug(category)
	if errors.Is(err, db.ErrNotFound) {
		var bad Invalid
		bad.add("category", "invalid_enum", "the slug of a category of GET /api/v1/categories")
		return &bad
	}
	return err
}

// OnAirByCategory counts what is on air and on everybody's lists.
func (s *Service) OnAirByCategory(ctx context.Context, live Live) (map[string]int64, error) {
	var slugs []string
	for _, info := range live.LiveNow() {
		if info.onAir() {
			slugs = append(slugs, info.Stream)
		}
	}
	rows, err := s.db.ReadReplica(ctx).FindStreamsBySlug(db.StreamFilter{Listed: true}, slugs)
	counts := map[string]int64{}
	for _, row := range rows {
		counts[row.Category]++
	}
	return counts, err
}
