package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"hash/crc32"
	"strconv"
	"strings"
)

// Prefixes make a secret known for what it is, to people and to secret scanners.
const (
	refreshPrefix = "mdr_"
	tokenPrefix   = "mdt_"
	invitePrefix  = "mdi_"
	codePrefix    = "mdc_"
)

// hash is how secrets are stored and found. A plain hash is enough for 80 random bits and more.
func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func hint(secret string) string { return secret[len(secret)-4:] }

// random makes a secret of 256 bits.
func random(prefix string) string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// refreshTokens are what a family's token of a generation may be, one for each master key, the newest first: nothing but hashes is stored, and
// still the same token can be given out twice.
func (s *Service) refreshTokens(family string, generation int64) []string {
	derived := s.secrets.Derive("refresh token", family+"\n"+strconv.FormatInt(generation, 10))
	tokens := make([]string, len(derived))
	for i, d := range derived {
		tokens[i] = refreshPrefix + base64.RawURLEncoding.EncodeToString(d)
	}
	return tokens
}

// again finds the token that was given out for a generation; "" if its master key is gone.
func (s *Service) again(family string, generation int64, stored string) string {
	for _, token := range s.refreshTokens(family, generation) {
		if subtle.ConstantTimeCompare([]byte(hash(token)), []byte(stored)) == 1 {
			return token
		}
	}
	return ""
}

const (
	base62        = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	tokenRandom   = 40
	tokenChecksum = 6
)

// newToken makes an API token: 238 random bits and a checksum, by which a typing error and a token of elsewhere are known without the database.
func newToken() string {
	var b strings.Builder
	b.WriteString(tokenPrefix)
	var raw [64]byte
	for n := 0; n < tokenRandom; {
		rand.Read(raw[:]) // never fails
		for _, v := range raw {
			if v < 4*62 && n < tokenRandom { // above, the remainder would favour some
				b.WriteByte(base62[v%62])
				n++
			}
		}
	}
	return b.String() + checksum(b.String())
}

func checksum(text string) string {
	sum := crc32.ChecksumIEEE([]byte(text))
	var out [tokenChecksum]byte
	for i := range out {
		out[tokenChecksum-1-i] = base62[sum%62]
		sum /= 62
	}
	return string(out[:])
}

// wellFormed says whether a token may be one of ours.
func wellFormed(token string) bool {
	if len(token) != len(tokenPrefix)+tokenRandom+tokenChecksum || !strings.HasPrefix(token, tokenPrefix) {
		return false
	}
	body := token[:len(token)-tokenChecksum]
	return checksum(body) == token[len(body):]
}

var letters32 = base32.StdEncoding.WithPadding(base32.NoPadding)

// newRecoveryCode makes 80 random bits, in groups that can be copied by hand.
func newRecoveryCode() string {
	var b [10]byte
	rand.Read(b[:]) // never fails
	text := strings.ToLower(letters32.EncodeToString(b[:]))
	return text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:]
}

// recoveryHash takes what people make of a code: capitals, spaces, no dashes.
func recoveryHash(userID, code string) string {
	code = strings.NewReplacer("-", "", " ", "").Replace(strings.ToLower(code))
	return hash(userID + "\n" + code)
}
