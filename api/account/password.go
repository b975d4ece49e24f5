package account

import (
	"context"
	"errors"
	"fmt"

	"github.com/alexedwards/argon2id"

	"mediad/store/db"
)

// hashParams cost some 30 ms on a small machine. The hash names them, so they can be raised later.
func hashParams() *argon2id.Params {
	return &argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}
}

func hashPassword(password string) (string, error) {
	hash, err := argon2id.CreateHash(password, hashParams())
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
	hash := u.PasswordHash
	if err != nil {
		hash = nobodysHash
	}
	match, hashErr := argon2id.ComparePasswordAndHash(password, hash)
	if hashErr != nil {
		return db.User{}, fmt.Errorf("account: stored hash: %w", hashErr)
	}
	if err != nil || !match {
		return db.User{}, fmt.Errorf("account: %w", ErrNotFound)
	}
	return u, nil
}

// nobodysHash has hashParams and belongs to a random password that nobody knows.
const nobodysHash = "$argon2id$v=19$m=19456,t=2,p=1$fD/ps2M/GX48+NCTVIMDVQ$M9E7Vi6mPCpK1ZNFiDNzUSqY8Kp9QZ3g1/a+XAnJCtI"
