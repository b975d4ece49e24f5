package db

import "gorm.io/gorm/clause"

// TOTP is a row of totp: a user's second factor.
type TOTP struct {
	UserID      string
	SecretEnc   string // sealed
	ConfirmedAt *Millis
	LastStep    int64
	CreatedAt   Millis `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (TOTP) TableName() string { return "totp" }

// FindTOTP finds that of a user, confirmed or not.
func (q Queries) FindTOTP(userID string) (TOTP, error) {
	var t TOTP
	err := q.g.Take(&t, "user_id = ?", userID).Error
	return t, wrap("find totp", err)
}

// SaveTOTP stores a new one that is not confirmed yet, in the place of such a one. ErrDuplicate if there is one that is confirmed.
func (q Queries) SaveTOTP(t TOTP) error {
	result := q.g.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "user_id"}},
		DoUpdates: clause.AssignmentColumns([]string{"secret_enc", "last_step", "created_at"}),
		Where:     clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "totp.confirmed_at IS NULL"}}},
	}).Create(&t)
	if result.Error == nil && result.RowsAffected == 0 {
		return wrap("save totp", ErrDuplicate)
	}
	return wrap("save totp", result.Error)
}

// ConfirmTOTP turns it on.
func (q Queries) ConfirmTOTP(userID string, now Millis) error {
	return one("confirm totp", q.g.Model(&TOTP{}).Where("user_id = ? AND confirmed_at IS NULL", userID).UpdateColumn("confirmed_at", now))
}

// UseTOTPStep notes that the code of a step was used, and says whether this call did: each is good once, and none behind it.
func (q Queries) UseTOTPStep(userID string, step int64) (bool, error) {
	result := q.g.Model(&TOTP{}).Where("user_id = ? AND last_step < ?", userID, step).UpdateColumn("last_step", step)
	return result.RowsAffected == 1, wrap("use totp", result.Error)
}

// DeleteTOTP deletes it with the recovery codes.
func (q Queries) DeleteTOTP(userID string) error {
	if err := q.g.Where("user_id = ?", userID).Delete(&RecoveryCode{}).Error; err != nil {
		return wrap("delete recovery codes", err)
	}
	return one("delete totp", q.g.Where("user_id = ?", userID).Delete(&TOTP{}))
}

// RecoveryCode is a row of recovery_codes: good once in the place of a TOTP code.
type RecoveryCode struct {
	ID        string
	UserID    string
	Hash      string
	UsedAt    *Millis
	CreatedAt Millis `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's Tabler.
func (RecoveryCode) TableName() string { return "recovery_codes" }

// ReplaceRecoveryCodes gives a user new ones.
func (q Queries) ReplaceRecoveryCodes(userID string, codes []RecoveryCode) error {
	if err := q.g.Where("user_id = ?", userID).Delete(&RecoveryCode{}).Error; err != nil {
		return wrap("delete recovery codes", err)
	}
	return wrap("create recovery codes", q.g.Create(&codes).Error)
}

// UseRecoveryCode uses one up, and says whether it was there.
func (q Queries) UseRecoveryCode(userID, hash string, now Millis) (bool, error) {
	result := q.g.Model(&RecoveryCode{}).Where("hash = ? AND user_id = ? AND used_at IS NULL", hash, userID).UpdateColumn("used_at", now)
	return result.RowsAffected == 1, wrap("use recovery code", result.Error)
}
