package account

import (
	"strings"

	"mediad/api/reseal"
	"mediad/store/db"
)

// Sealed are the columns that this package seals.
func (s *Service) Sealed() []reseal.Column {
	return []reseal.Column{{
		SealedColumn: db.SealedColumn{Table: "users", Column: "email_enc", Keys: []string{"id"}},
		Purpose:      func(v db.SealedValue) string { return emailPurpose + " " + v.Key1 },
		Beside: func(email string) map[string]any {
			return map[string]any{"email_bidx": s.secrets.Index(emailPurpose, strings.ToLower(email))}
		},
	}}
}
