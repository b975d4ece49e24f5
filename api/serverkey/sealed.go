package serverkey

import (
	"mediad/api/reseal"
	"mediad/store/db"
)

// Sealed are the columns that this package seals.
func Sealed() []reseal.Column {
	return []reseal.Column{{
		SealedColumn: db.SealedColumn{Table: "server_keys", Column: "secret_enc", Keys: []string{"id"}},
		Purpose:      func(v db.SealedValue) string { return purpose(v.Key1) },
	}}
}
