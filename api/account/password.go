package account

import (
	"context"
	"errors"
	"fmt"

	"github.com/alexedwards/argon2id"

	"mediad/store/db"
)

// hashMemory is what one hash takes, in KiB.
const hashMemory = 19 << 10

// hashParams cost some 30 ms on a small machine. The hash names them, so they can be raised later.
func (s *Service) hashParams() *argon2id.Params {
	return &argon2id.Params{Memory: s.hashMemory, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}
}

// turn waits until a password may be hashed.
func (s *Service) turn(ctx context.Context) (done func(), err error) {
	select {
	case s.hashing <- struct{}{}:
		return func() { <-s.hashing }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("account: hash: %w", ctx.Err())
	}
}

func (s *Service) hashPassword(ctx context.Context, password string) (string, error) {
	done, err := s.turn(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	hash, err := argon2id.CreateHash(password, s.hashParams())
	if err != nil {
		return "", fmt.Errorf("account: hash: %w", err)
	}
	return hash, nil
}

// Verify finds the user whom name and password belong to; ErrNotFound for both an unknown name and a wrong password,
// after the same work.
func (s *Service) Verify(ctx context.Context, name, password string) (db.User, error) {
	u, err := s.Find(ctx, name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return db.User{}, err
	}
	match, hashErr := s.Matches(ctx, u, password)
	if hashErr != nil {
		return db.User{}, hashErr
	}
	if !match {
		return db.User{}, fmt.Errorf("account: %w", ErrNotFound)
	}
	return u, nil
}

// Matches says whether the password is the user's. For the zero User it does the same work and says no.
func (s *Service) Matches(ctx context.Context, u db.User, password string) (bool, error) {
	done, err := s.turn(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	hash := u.PasswordHash
	if u.ID == "" {
		hash = nobodysHash
	}
	s.hashed()
	match, err := argon2id.ComparePasswordAndHash(password, hash)
	if err != nil {
		return false, fmt.Errorf("account: stored hash: %w", err)
	}
	return match && u.ID != "", nil
}

// Rehash stores a password that was right with the cost of today, where its hash is cheaper.
func (s *Service) Rehash(ctx context.Context, u db.User, password string) error {
	params, _, _, err := argon2id.DecodeHash(u.PasswordHash)
	want := s.hashParams()
	if err == nil && params.Memory >= want.Memory && params.Iterations >= want.Iterations {
		return nil
	}
	hash, err := s.hashPassword(ctx, password)
	if err != nil {
		return err
	}
	err = s.db.Tx(ctx, func(q db.Queries) error { return q.RehashPassword(u.ID, u.PasswordHash, hash) })
	if errors.Is(err, db.ErrNotFound) { // it was changed meanwhile
		return nil
	}
	return err
}

// HashFor checks a new password of the user and hashes it.
func (s *Service) HashFor(ctx context.Context, u db.User, password string) (string, error) {
	if err := CheckPassword(password, u.Username); err != nil {
		return "", err
	}
	return s.hashPassword(ctx, password)
}

// nobodysHash has hashParams and belongs to a random password that nobody knows.
const nobodysHash = "$argon2id$v=19$m=19456,t=2,p=1$fD/ps2M/GX48+NCTVIMDVQ$M9E7Vi6mPCpK1ZNFiDNzUSqY8Kp9QZ3g1/a+XAnJCtI"
