package configs

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// redisValue is redis.url, kept as it was written.
type redisValue struct{ p *string }

func (v redisValue) Set(s string) error {
	if s != "" {
		if err := checkRedisURL(s); err != nil {
			return err
		}
	}
	*v.p = s
	return nil
}
func (v redisValue) String() string { return *v.p }

// checkRedisURL says what is wrong with a URL, in words that go on after its key and repeat nothing that may be a secret.
func checkRedisURL(text string) error {
	scheme, _, ok := strings.Cut(text, "://")
	switch {
	case !ok:
		return errors.New("is no URL: redis://user:password@host:6379/0")
	case scheme != "redis" && scheme != "rediss" && scheme != "unix":
		if strings.ContainsAny(scheme, "@:?&= ") {
			return errors.New("does not begin with redis://")
		}
		return fmt.Errorf("begins with %s://, not with redis://%s", scheme, DidYouMean(scheme, []string{"redis", "rediss"}))
	}
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("cannot be read: percent-encode what is special in user and password, as %40 for @")
	}
	if scheme == "unix" {
		return nil
	}
	database := strings.Trim(u.Path, "/")
	number, err := strconv.Atoi(database)
	switch {
	case u.Hostname() == "":
		return errors.New("names no host: redis://host:6379")
	case database != "" && (err != nil || number < 0):
		return errors.New("names a database that is no number: redis://host:6379/0")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("has parameters, of which there are none; percent-encode ? and # in a password")
	}
	return nil
}
