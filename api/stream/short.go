package stream

import (
	"slices"

	"mediad/api/page"
	"mediad/api/problem"
)

// PageInput is what a page of a short list is asked for by.
type PageInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"100" doc:"How many"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before"`
}

// shortPage is a page out of all items of a list that is short by rule, in their order. key is where an item stands in it, and behind says whether
// one stands behind another: an item that is gone meanwhile is not looked for.
func shortPage[T any](cursors page.Codec, name string, in PageInput, all []T, key func(T) string, behind func(key, last string) bool) ([]T, *string, error) {
	if in.Cursor != "" {
		var last string
		if err := cursors.Open(name, in.Cursor, &last); err != nil {
			return nil, nil, problem.New(problem.InvalidCursor, "The cursor was altered, or belongs to another list. Start again without it.")
		}
		first := slices.IndexFunc(all, func(one T) bool { return behind(key(one), last) })
		if first < 0 {
			return nil, nil, nil
		}
		all = all[first:]
	}
	if len(all) <= in.Limit {
		return all, nil, nil
	}
	next, err := cursors.Seal(name, key(all[in.Limit-1]))
	return all[:in.Limit], &next, err
}

func ascending(key, last string) bool  { return key > last }
func descending(key, last string) bool { return key < last }
