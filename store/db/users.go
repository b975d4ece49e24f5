package db

// User is a row of users.
type User struct {
	ID                 string
	Username           string
	DisplayName        string
	PasswordHash       string
	Role               string
	MustChangePassword bool
	CreatedAt          Millis `gorm:"autoCreateTime:false"`
	UpdatedAt          Millis `gorm:"autoUpdateTime:false"`
	Version            int64
}

// TableName implements gorm's Tabler.
func (User) TableName() string { return "users" }

// CreateUser inserts u; ErrDuplicate if the name is taken.
func (q Queries) CreateUser(u User) error { return wrap("create user", q.g.Create(&u).Error) }

// FindUser finds by id.
func (q Queries) FindUser(id string) (User, error) {
	var u User
	err := q.g.Take(&u, "id = ?", id).Error
	return u, wrap("find user", err)
}

// FindUserByName finds by username, which is lower-case.
func (q Queries) FindUserByName(username string) (User, error) {
	var u User
	err := q.g.Take(&u, "username = ?", username).Error
	return u, wrap("find user", err)
}

// FindUsers finds those of ids that exist, in no order.
func (q Queries) FindUsers(ids []string) ([]User, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var found []User
	err := q.g.Find(&found, "id IN ?", ids).Error
	return found, wrap("find users", err)
}

// FirstUserOfRole finds the one made first.
func (q Queries) FirstUserOfRole(role string) (User, error) {
	var u User
	err := q.g.Where("role = ?", role).Order("id").Take(&u).Error
	return u, wrap("first user of a role", err)
}

// CountUsersOfRole counts.
func (q Queries) CountUsersOfRole(role string) (int64, error) {
	var n int64
	err := q.g.Model(&User{}).Where("role = ?", role).Count(&n).Error
	return n, wrap("count users", err)
}

// ListUsers lists by id after the given one ("" from the start), oldest first.
func (q Queries) ListUsers(after string, limit int) ([]User, error) {
	var found []User
	err := q.g.Where("id > ?", after).Order("id").Limit(limit).Find(&found).Error
	return found, wrap("list users", err)
}

// SetPassword replaces the hash.
func (q Queries) SetPassword(id, hash string, mustChange bool, now Millis) error {
	return one("set password", q.updateUser(id, map[string]any{
		"password_hash": hash, "must_change_password": mustChange,
	}, now))
}

// SetRole changes the role.
func (q Queries) SetRole(id, role string, now Millis) error {
	return one("set role", q.updateUser(id, map[string]any{"role": role}, now))
}
