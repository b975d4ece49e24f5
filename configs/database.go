package configs

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// embeddedDatabase is how database.url may name the SQLite file in data_dir, which is also what it means when empty.
const embeddedDatabase = "sqlite"

// databaseParams are the parameters that a postgres:// URL may have: those of libpq, the server's settings that somebody
// may want for our connections, and pool_max_conns.
var databaseParams = []string{
	"pool_max_conns", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslsni", "sslnegotiation", "channel_binding",
	"connect_timeout", "application_name", "target_session_attrs", "host", "port", "user", "password", "dbname", "passfile",
	"service", "servicefile", "krbsrvname", "min_protocol_version", "max_protocol_version", "options",
	"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "search_path", "timezone", "client_encoding",
	"default_query_exec_mode", "statement_cache_capacity", "description_cache_capacity",
}

var sslModes = []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}

// checkPostgresURL says what is wrong with a URL, in words that go on after its key and repeat nothing that may be a secret.
func checkPostgresURL(text string) error {
	scheme, _, ok := strings.Cut(text, "://")
	switch {
	case !ok:
		return errors.New("is no URL: postgres://user:password@host/name")
	case scheme != "postgres" && scheme != "postgresql":
		if strings.ContainsAny(scheme, "@:?&= ") {
			return errors.New("does not begin with postgres://")
		}
		return fmt.Errorf("begins with %s://, not with postgres://%s", scheme, DidYouMean(scheme, []string{"postgres", "postgresql"}))
	}
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("cannot be read: percent-encode what is special in user and password, as %40 for @")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("has parameters that are not of the form name=value&name=value")
	}
	for name, values := range query {
		if !slices.Contains(databaseParams, strings.ToLower(name)) {
			return fmt.Errorf("has a parameter %q that there is not%s", name, DidYouMean(name, databaseParams))
		}
		if len(values) > 1 {
			return fmt.Errorf("has the parameter %q twice", name)
		}
	}
	if mode := query.Get("sslmode"); mode != "" && !slices.Contains(sslModes, mode) {
		return fmt.Errorf("has an sslmode that is not one of %s%s", strings.Join(sslModes, ", "), DidYouMean(mode, sslModes))
	}
	for _, name := range []string{"pool_max_conns", "connect_timeout", "port"} {
		lo, hi := 1, 65535
		if name == "pool_max_conns" {
			lo, hi = 4, 1000
		}
		n := lo
		if value := query.Get(name); value != "" && (intValue{&n, lo, hi}).Set(value) != nil {
			return fmt.Errorf("has a %s that is not %d to %d", name, lo, hi)
		}
	}
	switch {
	case strings.Trim(u.Path, "/") == "" && query.Get("dbname") == "" && query.Get("service") == "":
		return errors.New("names no database: postgres://host/name")
	case u.Host == "" && query.Get("host") == "" && query.Get("service") == "":
		return errors.New("names no host: postgres://host/name, or postgres:///name?host=/folder of its socket")
	case u.Fragment != "":
		return errors.New("has a # in it: percent-encode it as %23")
	}
	return nil
}

// databaseValue is database.url, kept as it was written.
type databaseValue struct{ p *string }

func (v databaseValue) Set(s string) error {
	if s != "" && s != embeddedDatabase {
		if near := DidYouMean(strings.ToLower(s), []string{embeddedDatabase}); near != "" && !strings.Contains(s, "://") {
			return errors.New("is neither sqlite nor a URL" + near)
		}
		if err := checkPostgresURL(s); err != nil {
			return err
		}
	}
	*v.p = s
	return nil
}
func (v databaseValue) String() string { return *v.p }

// replicasValue is database.replicas.
type replicasValue struct{ p *[]string }

func (v replicasValue) Set(s string) error { return v.SetList(splitList(s)) }
func (v replicasValue) SetList(items []string) error {
	for i, item := range items {
		if err := checkPostgresURL(item); err != nil {
			return fmt.Errorf("item %d %w", i+1, err)
		}
	}
	*v.p = items
	return nil
}
func (v replicasValue) String() string { return listValue(v).String() }

// PostgresURL is the URL of the site's PostgreSQL database; empty: it is SQLite in data_dir.
func (c *Config) PostgresURL() string {
	if c.Database.URL == embeddedDatabase {
		return ""
	}
	return c.Database.URL
}
