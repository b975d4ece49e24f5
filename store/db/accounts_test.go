package db_test

import (
	"database/sql"
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/store/db"
	"mediad/store/db/dbtest"
)

// accountSteps run every statement about accounts, for the check of their plans.
func accountSteps() []func(q db.Queries) error {
	until, bidx := db.Millis(9), "k.x"
	var steps []func(q db.Queries) error
	step := func(fn func(q db.Queries) error) { steps = append(steps, fn) }
	step(func(q db.Queries) error {
		u := user(u1, "first", "admin")
		u.EmailBidx, u.EmailEnc = &bidx, "x"
		return q.SaveProfile(u, 3, 1)
	})
	step(func(q db.Queries) error { _, err := q.FindUserByEmail([]string{"k.x", "l.x"}); return err })
	steps = append(steps, safetySteps()...)
	step(func(q db.Queries) error { return q.VerifyEmail(u1, bidx, 1) })
	step(func(q db.Queries) error { return q.RehashPassword(u1, "h", "i") })
	step(func(q db.Queries) error { return q.EndSessions(u1) })
	step(func(q db.Queries) error { return q.RequestStreamer(u1, "please", 1) })
	step(func(q db.Queries) error { return q.SuspendUser(u1, &until, "spam", 1) })
	step(func(q db.Queries) error { return q.ReleaseUser(u1, 1) })
	step(func(q db.Queries) error {
		return q.CreateLogin(db.Login{ID: "l", UserID: u1, Version: 1, Transport: "body", ExpiresAt: 9, IPEnc: "x"})
	})
	step(func(q db.Queries) error { _, err := q.FindLogin("l"); return err })
	step(func(q db.Queries) error { _, err := q.ListLogins(u1, 1, "", 1, 5); return err })
	step(func(q db.Queries) error { _, err := q.ListLogins(u1, 1, "z", 1, 5); return err })
	step(func(q db.Queries) error { return q.SeeLogin("l", "i", "a", 1) })
	step(func(q db.Queries) error { return q.RenewLogin("l", 2) })
	step(func(q db.Queries) error {
		return q.CreateRefreshToken(db.RefreshToken{ID: "r", UserID: u1, Family: "l", Hash: "h", ExpiresAt: 9})
	})
	step(func(q db.Queries) error { _, err := q.FindRefreshToken("h"); return err })
	step(func(q db.Queries) error { _, err := q.FindGeneration("l", 0); return err })
	step(func(q db.Queries) error { _, err := q.UseRefreshToken("r", 1); return err })
	step(func(q db.Queries) error { return q.EndLogin("l", "x", 1) })
	step(func(q db.Queries) error { _, err := q.EraseLoginTraces(2); return err })
	step(func(q db.Queries) error { _, err := q.DeleteLogins(99, 5); return err })
	step(func(q db.Queries) error { _, err := q.HoldLoginFailure("s"); return err })
	step(func(q db.Queries) error { return q.SaveLoginFailure(db.LoginFailure{Subject: "s", Failures: 1}) })
	step(func(q db.Queries) error { _, err := q.DeleteLoginFailures(2); return err })
	step(func(q db.Queries) error {
		return q.CreateAPIToken(db.APIToken{ID: "t", UserID: u1, Hash: "h", Scopes: []string{"profile"}})
	})
	step(func(q db.Queries) error { _, err := q.FindAPIToken("h"); return err })
	step(func(q db.Queries) error { _, err := q.CountAPITokens(u1); return err })
	step(func(q db.Queries) error { _, err := q.FindAPITokenOf(u1, "t"); return ignoreNotFound(err) })
	step(func(q db.Queries) error { _, err := q.ListAPITokens(u1, "", 5); return err })
	step(func(q db.Queries) error { _, err := q.ListAPITokens(u1, "z", 5); return err })
	step(func(q db.Queries) error { return q.TouchAPIToken("t", 1) })
	step(func(q db.Queries) error { return q.DeleteAPIToken(u1, "t") })
	step(func(q db.Queries) error { return q.SaveTOTP(db.TOTP{UserID: u1, SecretEnc: "x"}) })
	step(func(q db.Queries) error { _, err := q.FindTOTP(u1); return err })
	step(func(q db.Queries) error { return q.ConfirmTOTP(u1, 1) })
	step(func(q db.Queries) error { _, err := q.UseTOTPStep(u1, 5); return err })
	step(func(q db.Queries) error {
		return q.ReplaceRecoveryCodes(u1, []db.RecoveryCode{{ID: "c", UserID: u1, Hash: "h"}})
	})
	step(func(q db.Queries) error { _, err := q.UseRecoveryCode(u1, "h", 1); return err })
	step(func(q db.Queries) error { return q.DeleteTOTP(u1) })
	step(func(q db.Queries) error {
		return q.ReplaceOneTimeCode(db.OneTimeCode{Hash: "h", UserID: u1, Kind: db.CodePasswordReset, ExpiresAt: 9})
	})
	step(func(q db.Queries) error { _, err := q.FindOneTimeCode("h", db.CodePasswordReset); return err })
	step(func(q db.Queries) error { _, err := q.UseOneTimeCode("h", db.CodePasswordReset, 1); return err })
	step(func(q db.Queries) error { _, err := q.DeleteOneTimeCodes(99); return err })
	step(func(q db.Queries) error { return q.CreateInvite(db.Invite{ID: "i", Hash: "h", UsesLeft: 1}) })
	step(func(q db.Queries) error { return q.UseInvite("h", 1) })
	step(func(q db.Queries) error { _, err := q.FindInvite("i"); return ignoreNotFound(err) })
	step(func(q db.Queries) error { _, err := q.ListInvites("", 5); return err })
	step(func(q db.Queries) error { return q.DeleteInvite("i") })
	step(func(q db.Queries) error { _, err := q.CountOtherActiveUsersOfRole("admin", u1); return err })
	for _, f := range []db.UserFilter{{}, {Oldest: true, After: u1}, {Prefix: "an"}, {Prefix: "an", Role: "admin", State: db.UserActive}, {Role: "admin"}, {Emails: []string{"x"}}} {
		step(func(q db.Queries) error { _, err := q.SearchUsers(f, 5); return err })
	}
	step(func(q db.Queries) error { return q.RequestStreamer(u1, "please", 7) })
	step(func(q db.Queries) error { _, err := q.ListStreamerRequests(0, 1); return err })
	step(func(q db.Queries) error { return q.EachSeen(1, func(string) {}) })
	step(func(q db.Queries) error { _, err := q.LastSeen([]string{u1, s1}); return err })
	step(func(q db.Queries) error { _, err := q.LastTraced(u1); return ignoreNotFound(err) })
	step(func(q db.Queries) error { return q.SetUserMarks(u1, nil, false, 1) })
	for _, c := range []db.SealedColumn{
		{Table: "users", Column: "email_enc", Keys: []string{"id"}}, {Table: "totp", Column: "secret_enc", Keys: []string{"user_id"}},
		{Table: "sessions", Column: "ip_enc", Keys: []string{"id"}}, {Table: "audit_heads", Column: "sealed", Keys: []string{"node", "day"}},
	} {
		step(func(q db.Queries) error {
			_, err := q.ListSealed(c, db.SealedValue{Key1: "m", Key2: "n"}, 200)
			return err
		})
		step(func(q db.Queries) error {
			err := q.SaveSealed(c, db.SealedValue{Key1: "m", Key2: "n", Value: "x"}, map[string]any{c.Column: "y"})
			if errors.Is(err, db.ErrNotFound) {
				return nil
			}
			return err
		})
	}
	step(func(q db.Queries) error {
		return q.SaveSetting(db.Setting{Key: "auth.registration", Value: "closed", IsSet: true, Version: 1})
	})
	step(func(q db.Queries) error { _, err := q.FindSettings([]string{"auth.registration", "clips"}); return err })
	step(func(q db.Queries) error { _, err := q.ListAudit(db.AuditFilter{From: 1, To: 5}, 5); return err })
	step(func(q db.Queries) error { return q.CreateSigningKey(db.SigningKey{ID: "k", SignsFrom: 1}) })
	step(func(q db.Queries) error { _, err := q.ListSigningKeys(1); return err })
	step(func(q db.Queries) error { return q.RetireSigningKeys(5) })
	step(func(q db.Queries) error { _, err := q.DeleteSigningKeys(99); return err })
	step(func(q db.Queries) error { return q.AppendAudit(audit("a", 1)) })
	step(func(q db.Queries) error { _, err := q.ListAuditChain("n", "1970-01-01", 0, 5); return err })
	for _, f := range []db.AuditFilter{{}, {Before: "z"}, {ActorID: u1, Before: "z"}, {Action: "login"}, {TargetType: "user", TargetID: u1, Before: "z"}, {Outcome: "denied", Before: "z"}, {Outcome: "ok"}} {
		step(func(q db.Queries) error { _, err := q.ListAudit(f, 5); return err })
	}
	step(func(q db.Queries) error { _, err := q.FindAuditDay("n", "1970-01-01"); return err })
	step(func(q db.Queries) error { _, err := q.OpenAuditDays("2000-01-01"); return err })
	step(func(q db.Queries) error { return q.SealAuditDay(db.AuditDay{Node: "n", Day: "1970-01-01"}, "x") })
	return steps
}

func audit(id string, at db.Millis) db.Audit {
	return db.Audit{ID: id, At: at, Node: "n", Via: "system", Action: "login", TargetType: "user", TargetID: u1, Outcome: "ok"}
}

func TestAuditIsAppendOnlyAndChained(t *testing.T) {
	d := onSQLite.Open(t)
	const day = 24 * 60 * 60 * 1000
	recent := db.Millis(4_000_000_000_000)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			assert.NoError(t, d.Tx(t.Context(), func(q db.Queries) error { return q.AppendAudit(audit(strconv.Itoa(i), recent)) }))
		})
	}
	wg.Wait()
	tx(t, d, func(q db.Queries) error { return q.AppendAudit(audit("next day", recent+day)) })
	tx(t, d, func(q db.Queries) error { return q.AppendAudit(audit("long ago", 1)) })

	rows, err := d.Read(t.Context()).ListAuditChain("n", recent.Time().Format("2006-01-02"), 0, 100)
	require.NoError(t, err)
	require.Len(t, rows, 20)
	for i, r := range rows {
		assert.Equal(t, int64(i+1), r.Seq)
		assert.Equal(t, r.Sum(), r.Hash)
		if i > 0 {
			assert.Equal(t, rows[i-1].Hash, r.PrevHash)
		} else {
			assert.Empty(t, r.PrevHash)
		}
	}
	altered := rows[3]
	altered.ActorID = "somebody else"
	assert.NotEqual(t, altered.Hash, altered.Sum())

	raw, err := sql.Open("sqlite", "file:"+d.Where())
	require.NoError(t, err)
	defer func() { assert.NoError(t, raw.Close()) }()
	_, err = raw.ExecContext(t.Context(), "UPDATE audit_log SET actor_id = 'x'")
	require.ErrorContains(t, err, "append-only")
	_, err = raw.ExecContext(t.Context(), "DELETE FROM audit_log WHERE id = '3'")
	require.ErrorContains(t, err, "append-only")
	_, err = raw.ExecContext(t.Context(), "DELETE FROM audit_log WHERE id = 'long ago'")
	require.NoError(t, err, "behind 400 days")
}

// found says whether there was a row. Other errors are for Tx, which runs again what lost against others.
func found(err error) (bool, error) {
	if errors.Is(err, db.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func TestOneUseOfWhatIsGoodOnce(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := seeded(t, on)
		tx(t, d, func(q db.Queries) error {
			if err := q.CreateLogin(db.Login{ID: "l", UserID: u1, Transport: "body"}); err != nil {
				return err
			}
			if err := q.CreateRefreshToken(db.RefreshToken{ID: "r", UserID: u1, Family: "l", Hash: "h"}); err != nil {
				return err
			}
			if err := q.SaveTOTP(db.TOTP{UserID: u1, SecretEnc: "x"}); err != nil {
				return err
			}
			if err := q.ReplaceRecoveryCodes(u1, []db.RecoveryCode{{ID: "c", UserID: u1, Hash: "h"}}); err != nil {
				return err
			}
			if err := q.ReplaceOneTimeCode(db.OneTimeCode{Hash: "h", UserID: u1, Kind: db.CodeEmailVerify, ExpiresAt: 9}); err != nil {
				return err
			}
			return q.CreateInvite(db.Invite{ID: "i", Hash: "h", UsesLeft: 1})
		})
		uses := map[string]func(q db.Queries) (bool, error){
			"refresh token": func(q db.Queries) (bool, error) { return q.UseRefreshToken("r", 1) },
			"totp step":     func(q db.Queries) (bool, error) { return q.UseTOTPStep(u1, 7) },
			"recovery code": func(q db.Queries) (bool, error) { return q.UseRecoveryCode(u1, "h", 1) },
			"one-time code": func(q db.Queries) (bool, error) {
				_, err := q.UseOneTimeCode("h", db.CodeEmailVerify, 1)
				return found(err)
			},
			"invite": func(q db.Queries) (bool, error) { return found(q.UseInvite("h", 1)) },
		}
		for name, use := range uses {
			won := 0
			var wg sync.WaitGroup
			var mu sync.Mutex
			for range 8 {
				wg.Go(func() {
					assert.NoError(t, d.Tx(t.Context(), func(q db.Queries) error {
						ok, err := use(q)
						if ok {
							mu.Lock()
							won++
							mu.Unlock()
						}
						return err
					}))
				})
			}
			wg.Wait()
			assert.Equal(t, 1, won, name)
		}
	})
}

func TestAddressesAreUnique(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := seeded(t, on)
		bidx := "k.x"
		with := func(id, name string) db.User {
			u := user(id, name, "viewer")
			u.EmailBidx = &bidx
			return u
		}
		tx(t, d, func(q db.Queries) error { return q.CreateUser(with(s1, "second")) })
		require.ErrorIs(t, d.Tx(t.Context(), func(q db.Queries) error { return q.CreateUser(with(s2, "third")) }), db.ErrDuplicate)
		tx(t, d, func(q db.Queries) error { return q.CreateUser(user(s2, "third", "viewer")) })
		tx(t, d, func(q db.Queries) error { return q.CreateUser(user(s3, "fourth", "viewer")) })
	})
}

// TestNoRequestIsLostBetweenPages: those who asked in the same millisecond come together, however short the page.
func TestNoRequestIsLostBetweenPages(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := on.Open(t)
		tx(t, d, func(q db.Queries) error {
			for i, at := range []db.Millis{5, 7, 7, 7, 9, 0} {
				id := "0198f2a0-0000-7000-8000-00000000000" + strconv.Itoa(i)
				if err := q.CreateUser(user(id, "user_"+strconv.Itoa(i), "viewer")); err != nil {
					return err
				}
				if at == 0 {
					continue // does not ask
				}
				if err := q.RequestStreamer(id, "please", at); err != nil {
					return err
				}
			}
			return nil
		})
		var names []string
		var pages []int
		for after := db.Millis(0); ; {
			page, err := d.Read(t.Context()).ListStreamerRequests(after, 2)
			require.NoError(t, err)
			if len(page) == 0 {
				break
			}
			pages = append(pages, len(page))
			for _, u := range page {
				names = append(names, u.Username)
				after = *u.StreamerRequestedAt
			}
		}
		assert.ElementsMatch(t, []string{"user_0", "user_1", "user_2", "user_3", "user_4"}, names)
		assert.Equal(t, []int{4, 1}, pages)
	})
}

func TestASuspensionEnds(t *testing.T) {
	dbtest.Run(t, func(t *testing.T, on dbtest.On) {
		d := seeded(t, on)
		until := db.Millis(10)
		tx(t, d, func(q db.Queries) error { return q.SuspendUser(u1, &until, "spam", 1) })
		u, err := d.Read(t.Context()).FindUser(u1)
		require.NoError(t, err)
		assert.True(t, u.SuspendedAt(9))
		assert.False(t, u.SuspendedAt(10))
		assert.Equal(t, int64(2), u.SessionVersion)
		tx(t, d, func(q db.Queries) error { return q.SuspendUser(u1, nil, "spam", 1) })
		u, err = d.Read(t.Context()).FindUser(u1)
		require.NoError(t, err)
		assert.True(t, u.SuspendedAt(1_000_000_000_000))
		tx(t, d, func(q db.Queries) error { return q.ReleaseUser(u1, 1) })
	})
}
