// Package account holds the rules about users: names, passwords, roles, the first admin.
package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"mediad/api/audit"
	"mediad/api/caller"
	"mediad/store/db"
	"mediad/store/seal"
)

// What a caller may branch on; each is returned wrapped.
var (
	ErrUsername      = errors.New("a username has 3 to 32 characters of a-z, 0-9 and _, and is not a reserved word")
	ErrUsernameTaken = errors.New("the username is taken")
	ErrWeakPassword  = errors.New("a password has 10 to 128 characters, does not contain the username, and is not one that everybody knows")
	ErrEmail         = errors.New("an address is a name, an @ and a domain")
	ErrEmailTaken    = errors.New("another account has that address")
	ErrRole          = errors.New("a role is one of viewer, streamer, moderator, admin")
	ErrNotFound      = errors.New("no such user")
	ErrLastAdmin     = errors.New("the last admin cannot lose the role")
)

// Role is what a user may do; each includes those before it.
type Role = caller.Role

// The four roles.
const (
	Viewer    = caller.Viewer
	Streamer  = caller.Streamer
	Moderator = caller.Moderator
	Admin     = caller.Admin
)

// Roles lists them, the least first.
func Roles() []Role { return caller.Roles() }

// Options of New.
type Options struct {
	DB *db.DB
	// Secrets seals addresses. nil: no account has one.
	Secrets *seal.Ring
	// Audit records what is done to accounts. nil: nothing is.
	Audit *audit.Log
	// Hashed is told of each password that was compared with a hash. nil: nobody.
	Hashed func()
	// HashMemory is what hashing a password takes, in KiB. 0: 19 456, which is what a site needs; tests, which hash by the hundred, take less.
	HashMemory uint32
	// Changed is told of each user whose role, password or state is another now. nil: nobody.
	Changed func(userID string)
	// Limits are how much users may have whom no admin allows otherwise. Zero: DefaultLimits.
	Limits Limits
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Log gets what changed. nil: none.
	Log *slog.Logger
}

// Service holds the rules. Its methods may be called from any goroutine.
type Service struct {
	db      *db.DB
	secrets *seal.Ring
	audit   *audit.Log // may be nil
	hashed  func()
	// hashMemory in KiB.
	hashMemory uint32
	changed    func(userID string)
	limits     Limits
	hashing    chan struct{} // as many passwords are hashed at the same time
	now        func() time.Time
	log        *slog.Logger
}

// New makes the service.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.HashMemory == 0 {
		o.HashMemory = hashMemory
	}
	if o.Hashed == nil {
		o.Hashed = func() {}
	}
	if o.Changed == nil {
		o.Changed = func(string) {}
	}
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits()
	}
	// A hash takes a core and 19 MiB: more at the same time would make all of them slow, and a flood of logins take the memory.
	return &Service{db: o.DB, secrets: o.Secrets, audit: o.Audit, hashed: o.Hashed, hashMemory: o.HashMemory, changed: o.Changed, limits: o.Limits, hashing: make(chan struct{}, runtime.GOMAXPROCS(0)), now: o.Now, log: o.Log}
}

// DB is where its users are.
func (s *Service) DB() *db.DB { return s.db }

// Create is what a new user needs.
type Create struct {
	Username    string  // lower-cased
	DisplayName *string // nil: the username
	Password    string  // "": a one-time password is made, which must be changed at the first login
	Role        Role    // "": viewer
	Email       string  // "": none
	// ByAdmin: an admin makes it, and so it may have a name of those who run the site.
	ByAdmin bool
	// PasswordNeeded: no one-time password is made where Password is "".
	PasswordNeeded bool
	// Then is run in the transaction that makes the account; its error undoes it.
	Then func(q db.Queries, u db.User) error
}

// Created is a new user, with the one-time password where one was made. It is nowhere else.
type Created struct {
	User            db.User
	OneTimePassword string
}

// Create makes a user.
func (s *Service) Create(ctx context.Context, c Create) (Created, error) {
	row, oneTime, err := s.prepare(ctx, c)
	if err != nil {
		return Created{}, err
	}
	err = s.db.Tx(ctx, func(q db.Queries) error {
		if err := s.emailFree(q, c.Email, row.ID); err != nil {
			return err
		}
		if err := s.usernameFree(q, row.Username); err != nil {
			return err
		}
		if err := q.CreateUser(row); err != nil {
			return err
		}
		if c.Then != nil {
			return c.Then(q, row)
		}
		return s.Record(ctx, q, audit.Entry{Action: "user.create", TargetType: "user", TargetID: row.ID, After: map[string]string{"role": row.Role}})
	})
	if errors.Is(err, db.ErrDuplicate) { // made at the same moment
		return Created{}, fmt.Errorf("account: %s: %w", row.Username, ErrUsernameTaken)
	}
	if err != nil {
		return Created{}, err
	}
	s.log.InfoContext(ctx, "user created", "username", row.Username, "role", row.Role)
	return Created{User: row, OneTimePassword: oneTime}, nil
}

// EnsureFirstAdmin makes an admin if there is none: with the name and password given, where they are ("admin" and a
// one-time password where not). It returns false, and the admin made first, when there is one.
func (s *Service) EnsureFirstAdmin(ctx context.Context, username, password string) (Created, bool, error) {
	admin, err := s.FirstAdmin(ctx)
	if err == nil {
		return Created{User: admin}, false, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return Created{}, false, err
	}
	if username == "" {
		username = "admin"
	}
	row, oneTime, err := s.prepare(ctx, Create{Username: username, Password: password, Role: Admin, ByAdmin: true})
	if err != nil {
		return Created{}, false, err
	}
	made := false
	var there db.User
	err = s.db.Tx(ctx, func(q db.Queries) error {
		// Another process may have been quicker; its admin, and its password, stand.
		made = false
		var err error
		if there, err = q.FirstUserOfRole(string(Admin)); err == nil {
			return nil
		}
		if !errors.Is(err, db.ErrNotFound) {
			return err
		}
		made = true
		return q.CreateUser(row)
	})
	switch {
	case errors.Is(err, db.ErrDuplicate):
		if there, err := s.FirstAdmin(ctx); err == nil { // PostgreSQL lets both look before either has written
			return Created{User: there}, false, nil
		}
		return Created{}, false, fmt.Errorf("account: first admin %s: %w", row.Username, ErrUsernameTaken)
	case err != nil:
		return Created{}, false, fmt.Errorf("account: first admin: %w", err)
	case !made:
		return Created{User: there}, false, nil
	}
	s.log.InfoContext(ctx, "first admin created", "username", row.Username)
	return Created{User: row, OneTimePassword: oneTime}, true, nil
}

// prepare checks the fields and hashes the password.
func (s *Service) prepare(ctx context.Context, c Create) (row db.User, oneTime string, err error) {
	var bad Invalid
	username := bad.username(c.Username, c.ByAdmin)
	role := c.Role
	if role == "" {
		role = Viewer
	}
	if !slices.Contains(Roles(), role) {
		return db.User{}, "", fmt.Errorf("account: role %q: %w", role, ErrRole)
	}
	if c.Password == "" && !c.PasswordNeeded {
		oneTime = OneTimePassword()
	} else if err := CheckPassword(c.Password, username); err != nil {
		bad.password(err)
	}
	display := username
	if c.DisplayName != nil {
		display = bad.displayName(*c.DisplayName)
	}
	email, err := Email(c.Email)
	if err != nil {
		bad.Add("email", "invalid_format", ErrEmail.Error(), 0)
		bad.causes = append(bad.causes, err)
	}
	if len(bad.Fields) > 0 {
		return db.User{}, "", &bad
	}
	hash, err := s.hashPassword(ctx, c.Password+oneTime)
	if err != nil {
		return db.User{}, "", err
	}
	id, err := db.NewID()
	if err != nil {
		return db.User{}, "", fmt.Errorf("account: id: %w", err)
	}
	now := db.At(s.now())
	row = db.User{
		ID: id, Username: username, DisplayName: display, PasswordHash: hash, Role: string(role), State: db.UserActive, SessionVersion: 1,
		Links: []db.Link{}, MustChangePassword: oneTime != "", CreatedAt: now, UpdatedAt: now, Version: 1,
	}
	if email != "" {
		if err := s.setEmail(&row, email); err != nil {
			return db.User{}, "", err
		}
	}
	return row, oneTime, nil
}

// usernameFree gives a taken name its error; the address has one of its own.
func (s *Service) usernameFree(q db.Queries, username string) error {
	_, err := q.FindUserByName(username)
	if err == nil {
		return fmt.Errorf("account: %s: %w", username, ErrUsernameTaken)
	}
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	return err
}

// FirstAdmin is the admin made first, who owns what nobody else does.
func (s *Service) FirstAdmin(ctx context.Context) (db.User, error) {
	u, err := s.db.Read(ctx).FirstUserOfRole(string(Admin))
	return u, found(err)
}

// Find finds by username in any case, or by id.
func (s *Service) Find(ctx context.Context, nameOrID string) (db.User, error) {
	q := s.db.Read(ctx)
	u, err := q.FindUserByName(strings.ToLower(strings.TrimPrefix(nameOrID, "@")))
	if errors.Is(err, db.ErrNotFound) {
		u, err = q.FindUser(strings.ToLower(nameOrID))
	}
	return u, found(err)
}

// Own finds the caller.
func (s *Service) Own(ctx context.Context) (db.User, error) {
	u, err := s.db.RecallUser(ctx, caller.Of(ctx).UserID)
	return u, found(err)
}

// Named finds by id or by @username in any case, as paths of the API have them; not who is gone.
func (s *Service) Named(ctx context.Context, user string) (db.User, error) {
	var u db.User
	var err error
	if name, ok := strings.CutPrefix(user, "@"); ok {
		u, err = s.db.RecallUserByName(ctx, strings.ToLower(name))
	} else {
		u, err = s.db.RecallUser(ctx, strings.ToLower(user))
	}
	if err == nil && u.State != db.UserActive && u.State != db.UserSuspended {
		err = db.ErrNotFound
	}
	return u, found(err)
}

// Seen is Named for a caller: who blocks them is not there. It refuses in the API's words.
func (s *Service) Seen(ctx context.Context, user string) (db.User, error) {
	u, err := s.Named(ctx, user)
	if errors.Is(err, ErrNotFound) {
		return db.User{}, NoUser()
	}
	if err != nil {
		return db.User{}, err
	}
	return u, s.Hidden(ctx, u.ID)
}

// Hidden refuses what is of a user who blocks the caller: for them there is no such user. Moderators see everyone.
func (s *Service) Hidden(ctx context.Context, userID string) error {
	who := caller.Of(ctx)
	if !who.SignedIn() || who.UserID == userID || who.Role.AtLeast(Moderator) {
		return nil
	}
	blocked, err := s.db.Read(ctx).Blocks(userID, who.UserID)
	if err == nil && blocked {
		return NoUser()
	}
	return err
}

// SetPassword replaces the password; "" makes a one-time password and returns it.
func (s *Service) SetPassword(ctx context.Context, nameOrID, password string) (oneTime string, err error) {
	u, err := s.Find(ctx, nameOrID)
	if err != nil {
		return "", err
	}
	if password == "" {
		oneTime = OneTimePassword()
	} else if err := CheckPassword(password, u.Username); err != nil {
		return "", err
	}
	hash, err := s.hashPassword(ctx, password+oneTime)
	if err != nil {
		return "", err
	}
	err = s.db.Tx(ctx, func(q db.Queries) error {
		if err := q.SetPassword(u.ID, hash, oneTime != "", db.At(s.now())); err != nil {
			return err
		}
		return s.Record(ctx, q, audit.Entry{Action: "password.set", TargetType: "user", TargetID: u.ID})
	})
	if err != nil {
		return "", found(err)
	}
	s.changed(u.ID)
	s.log.InfoContext(ctx, "password changed", "username", u.Username, "one_time", oneTime != "")
	return oneTime, nil
}

// SetRole changes the role; ErrLastAdmin if nobody would be admin afterwards.
func (s *Service) SetRole(ctx context.Context, nameOrID string, role Role) error {
	u, err := s.Find(ctx, nameOrID)
	if err != nil {
		return err
	}
	_, err = s.Moderate(ctx, u.ID, Moderation{Role: &role})
	return err
}

// List lists users after an id, the oldest first.
func (s *Service) List(ctx context.Context, after string, limit int) ([]db.User, error) {
	return s.db.Read(ctx).ListUsers(after, limit)
}

// CheckPassword applies the rules of passwords.
func CheckPassword(password, username string) error {
	n := utf8.RuneCountInString(password)
	if n < 10 || n > 128 || username != "" && strings.Contains(strings.ToLower(password), username) || common(password) {
		return fmt.Errorf("account: %w", ErrWeakPassword)
	}
	return nil
}

// OneTimePassword makes a random one: 26 characters, 130 bits.
func OneTimePassword() string { return rand.Text() }

// Record adds an entry to the audit log as the last statement of a transaction.
func (s *Service) Record(ctx context.Context, q db.Queries, e audit.Entry) error {
	if s.audit == nil {
		return nil
	}
	return s.audit.Add(ctx, q, e)
}

func found(err error) error {
	if errors.Is(err, db.ErrNotFound) {
		return fmt.Errorf("account: %w", ErrNotFound)
	}
	return err
}
