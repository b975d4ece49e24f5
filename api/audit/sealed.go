package audit

import (
	"mediad/api/reseal"
	"mediad/store/db"
)

// Sealed are the columns that this package seals: the last links of days that are over.
func Sealed() []reseal.Column {
	return []reseal.Column{{
		SealedColumn: db.SealedColumn{Table: "audit_heads", Column: "sealed", Keys: []string{"node", "day"}},
		Purpose:      func(v db.SealedValue) string { return sealPurpose(db.AuditDay{Node: v.Key1, Day: v.Key2}) },
	}}
}
