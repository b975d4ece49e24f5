package auth

import (
	"mediad/api/reseal"
	"mediad/store/db"
)

// Sealed are the columns that this package seals.
func Sealed() []reseal.Column {
	column := func(table, key, name string, purpose func(id string) string) reseal.Column {
		return reseal.Column{
			SealedColumn: db.SealedColumn{Table: table, Column: name, Keys: []string{key}},
			Purpose:      func(v db.SealedValue) string { return purpose(v.Key1) },
		}
	}
	return []reseal.Column{
		column("signing_keys", "id", "private_enc", keyPurpose), column("totp", "user_id", "secret_enc", totpPurpose),
		column("sessions", "id", "ip_enc", ipPurpose), column("sessions", "id", "agent_enc", agentPurpose),
	}
}

func ipPurpose(sessionID string) string    { return "sessions.ip " + sessionID }
func agentPurpose(sessionID string) string { return "sessions.agent " + sessionID }
