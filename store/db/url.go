package db

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// The bounds of pool_max_conns: how many connections a node may hold to one server, half of them for transactions.
const (
	defaultConns = 20
	minConns     = 4
	maxConns     = 1000
)

// postgresURL is a URL that was read.
type postgresURL struct {
	config *pgx.ConnConfig
	conns  int // of each of the two pools
}

// parseURL reads Options.URL. What it leaves out comes from the environment (PGPASSWORD, PGPASSFILE, …). The error goes on
// after "the URL" and repeats nothing that may be a secret.
func parseURL(text string) (*postgresURL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil: // its text has the URL in it
		return nil, errors.New("cannot be read: percent-encode what is special in user and password, as %40 for @")
	case u.Scheme != "postgres" && u.Scheme != "postgresql":
		return nil, errors.New("begins with neither postgres:// nor postgresql://")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("has parameters that are not of the form name=value&name=value")
	}
	out := &postgresURL{conns: defaultConns / 2}
	if text := query.Get("pool_max_conns"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < minConns || n > maxConns {
			return nil, fmt.Errorf("has a pool_max_conns that is not %d to %d", minConns, maxConns)
		}
		out.conns = n / 2
	}
	query.Del("pool_max_conns")
	u.RawQuery = query.Encode()
	if out.config, err = pgx.ParseConfig(u.String()); err != nil {
		return nil, errors.New(withoutURL(err))
	}
	settle(out.config)
	return out, nil
}

// withoutURL is what the driver found wrong, without the URL that it repeats in front of it.
func withoutURL(err error) string {
	if cause := errors.Unwrap(err); cause != nil {
		return "is not usable: " + cause.Error()
	}
	return "is not usable"
}

// where is host:port/name.
func (u *postgresURL) where() string {
	host := u.config.Host
	if strings.HasPrefix(host, "/") { // a folder with its socket
		return host + "/" + u.config.Database
	}
	return net.JoinHostPort(host, strconv.Itoa(int(u.config.Port))) + "/" + u.config.Database
}
