package account

import (
	_ "embed"
	"strings"
	"sync"
)

// commonList has what people choose most, as far as it is long enough to be a password here. Most of it is the list of passwords of zxcvbn 4.4.2
// (MIT, Dropbox).
//
//go:embed common.txt
var commonList string

var commonPasswords = sync.OnceValue(func() map[string]struct{} {
	all := map[string]struct{}{}
	for word := range strings.Lines(commonList) {
		all[strings.TrimSpace(word)] = struct{}{}
	}
	return all
})

// common says whether an attacker would try the password first.
func common(password string) bool {
	_, found := commonPasswords()[strings.ToLower(password)]
	return found
}
