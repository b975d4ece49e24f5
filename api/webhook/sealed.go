package webhook

import (
	"mediad/api/reseal"
	"mediad/store/db"
)

// Sealed are the columns that this package seals.
func Sealed() []reseal.Column {
	columns := make([]reseal.Column, 0, 2)
	for _, name := range []string{"secret_enc", "old_secret_enc"} {
		columns = append(columns, reseal.Column{
			SealedColumn: db.SealedColumn{Table: "webhooks", Column: name, Keys: []string{"id"}},
			Purpose:      func(v db.SealedValue) string { return purpose(v.Key1) },
		})
	}
	return columns
}
