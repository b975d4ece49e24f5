package transfer

import (
	"context"
	"maps"
	"slices"
	"strings"

	"mediad/store/seal"
)

// sealedSuffix ends the names of columns that hold sealed texts; that of audit_heads is called just so.
const sealedSuffix = "_enc"

// SealedBy lists the ids of the master keys that texts in the rows were sealed with.
func SealedBy(ctx context.Context, from Source) ([]string, error) {
	ids := make(map[string]bool)
	for i := range from.Schema().Tables {
		t := &from.Schema().Tables[i]
		var sealed []int
		for at, c := range t.Columns {
			if strings.HasSuffix(c.Name, sealedSuffix) || c.Name == "sealed" {
				sealed = append(sealed, at)
			}
		}
		if len(sealed) == 0 {
			continue
		}
		err := from.Rows(ctx, t, nil, func(r Row) error {
			for _, at := range sealed {
				if text, ok := r[at].(string); ok {
					if id := seal.KeyID(text); id != "" {
						ids[id] = true
					}
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Keys(ids)), nil
}
