package stream

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"strings"
)

// secretPrefix makes a stream key known for what it is, to people and to secret scanners.
const secretPrefix = "mds_"

// secretBytes of randomness become 32 characters of base32.
const secretBytes = 20

var secretEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// newSecret makes the secret of a stream key. It is shown once and then forgotten.
func newSecret() string {
	var b [secretBytes]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return secretPrefix + strings.ToLower(secretEncoding.EncodeToString(b[:]))
}

// mayBeSecret says whether a text has the form of a stream key. Others are looked up for nobody.
func mayBeSecret(text string) bool {
	code, ok := strings.CutPrefix(text, secretPrefix)
	if !ok || len(code) != secretEncoding.EncodedLen(secretBytes) {
		return false
	}
	for i := range len(code) {
		if c := code[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// hashSecret is how a key is stored and found. A plain hash is enough for 160 random bits, and finding a row by it tells
// nothing about other keys, however long the search takes.
func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func hint(secret string) string { return secret[len(secret)-4:] }
