package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mediad/api/account"
	"mediad/api/admin"
	"mediad/api/alert"
	"mediad/api/audit"
	"mediad/api/auth"
	"mediad/api/category"
	"mediad/api/export"
	"mediad/api/mail"
	"mediad/api/object"
	"mediad/api/once"
	"mediad/api/playback"
	"mediad/api/playback/token"
	"mediad/api/relation"
	"mediad/api/reseal"
	"mediad/api/serverkey"
	"mediad/api/setting"
	"mediad/api/stream"
	"mediad/api/upkeep"
	"mediad/api/video"
	"mediad/api/webhook"
	"mediad/configs"
	"mediad/store/db"
	"mediad/store/outbox"
	"mediad/store/seal"
)

// site is the platform's side of a node: its rows and the rules over them. The server and the subcommands share it.
type site struct {
	db *db.DB
	// node is what this one is called in the database.
	node     string
	accounts *account.Service
	streams  *stream.Service
	videos   *video.Service
	auth     *auth.Service
	// standings are what auth remembers of users.
	standings *auth.Standings
	// policies are who may watch what; tokens the keys of playback tokens.
	policies  *playback.Policies
	videoNews chan struct{} // holds a token where a video was made or changed, for the bucket
	tokens    *token.Ring
	shared    shared
	secrets   *seal.Ring
	relations *relation.Service
	keys      *serverkey.Service
	once      *once.Service
	audit     *audit.Log
	jobs      *jobQueue
	events    *outbox.Relay
	settings  *setting.Service
	seals     *reseal.Service
	// categories is the list of what streams may be about.
	categories *category.Service
	// files is where objects are; a server fills it in before anything is asked of it.
	files    *objectStore
	objects  *object.Keeper
	exports  *export.Service
	webhooks *webhook.Service
	alerts   *alert.Service
	upkeep   *upkeep.Service
}

// databaseOptions name the site's database: PostgreSQL where the configuration has its URL, else the file in the data folder.
func databaseOptions(c *configs.Config, log *slog.Logger) db.Options {
	if u := c.PostgresURL(); u != "" {
		return db.Options{URL: u, Replicas: c.Database.Replicas, Log: log}
	}
	return db.Options{Path: filepath.Join(c.DataDir, "mediad.db"), Log: log}
}

// watchers are told what happens on the platform's side; each may be nil.
type watchers struct {
	security  func(kind string)
	statement func(op, table string, took time.Duration)
	cached    func(cache string, hit bool)
	job       func(kind, result string, took time.Duration)
	// interacted is told of what users do with each other's channels and works.
	interacted func(kind string)
}

// openSite opens the database and brings its schema up to date.
func openSite(ctx context.Context, c *configs.Config, now func() time.Time, log *slog.Logger) (*site, error) {
	return openWatchedSite(ctx, c, watchers{}, now, log)
}

func openWatchedSite(ctx context.Context, c *configs.Config, told watchers, now func() time.Time, log *slog.Logger) (*site, error) {
	s := &site{videoNews: make(chan struct{}, 1), jobs: &jobQueue{}, files: &objectStore{}}
	o := databaseOptions(c, log)
	o.Measure, o.Cached = told.statement, told.cached
	o.Changed = func(ctx context.Context, rows []db.Change) { s.shared.rowsChanged(ctx, log, rows) }
	database, err := db.Open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	s.db, s.policies = database, playback.NewPolicies(playback.PoliciesOptions{DB: database, Now: now, Log: log})
	if _, err = database.MigrateUp(ctx); err != nil {
		err = fmt.Errorf("database: %w", err)
	}
	if err == nil {
		s.node, err = nodeID(c.DataDir)
	}
	if err == nil {
		s.shared, err = openShared(c, database, log, database.Forget)
	}
	if err == nil {
		err = s.openAccounts(ctx, c, told, now, log)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	s.relations = relation.New(relation.Options{DB: database, Record: s.accounts.Record, Now: now}) // to be asked alone: the API has one that tells
	s.streams = stream.New(stream.Options{
		DB: database, Owner: s.accounts.FirstAdmin, Open: c.Ingest.Open, MaxStreams: c.Limits.Account.Streams, MaxKeys: c.Limits.Account.StreamKeys,
		ResumeWindow: c.Ingest.ResumeWindow, DVR: c.HLS.DVR, Record: c.Record.On, Relations: s.relations, Audit: s.audit, Now: now, Log: log,
		Forwarding: forwarding{outboundGuard(c)}, Secrets: s.secrets,
		MaxLive: func() (int, error) { return s.settings.Int(admin.LiveSessions) },
		Changed: func(ctx context.Context, id string) {
			s.policies.StreamChanged(id)
			s.shared.changed(ctx, log, streamTopic, id)
		},
	})
	s.categories = category.New(category.Options{DB: database, Audit: s.audit, Now: now, Log: log})
	s.videos = video.New(video.Options{
		DB: database, Relations: s.relations, Audit: s.audit, Node: s.node, Now: now, Log: log,
		Changed: func(ctx context.Context, id string) {
			s.policies.VideoChanged(id)
			s.shared.changed(ctx, log, videoTopic, id)
			poke(s.videoNews)
		},
	})
	s.objects = object.New(object.Options{DB: database, Store: s.files, Now: now, Log: log})
	s.exports = export.New(export.Options{
		DB: database, Objects: s.objects, Secrets: s.secrets, Jobs: s.jobs, Email: s.accounts.EmailOf, Record: s.accounts.Record,
		Dir: filepath.Join(c.DataDir, "tmp"), PublicURL: strings.TrimSuffix(c.Site.PublicURL, "/"), Now: now, Log: log,
	})
	if err := s.openJobs(told, now, log); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// openAccounts makes what decides about people. Its keys come from the configuration or the data folder.
func (s *site) openAccounts(ctx context.Context, c *configs.Config, told watchers, now func() time.Time, log *slog.Logger) (err error) {
	secrets, err := seal.Load(c.SecretKey, filepath.Join(c.DataDir, "secrets"))
	if err != nil {
		return fmt.Errorf("secret_key: %w", err)
	}
	if s.tokens, err = playback.Keys(secrets); err != nil {
		return fmt.Errorf("secret_key: %w", err)
	}
	s.secrets = secrets
	var mailer auth.Mailer
	if c.Mail.SMTPURL != "" {
		by, err := mail.New(c.Mail.SMTPURL, siteName)
		if err != nil {
			return fmt.Errorf("mail.smtp_url: %w", err)
		}
		// What a request calls the site anybody may have written, so that no letter to somebody else has it.
		if c.Site.PublicURL == "" {
			log.Warn("configuration: mail.smtp_url without site.public_url: no mail is sent, as its links would lead nowhere")
		} else {
			mailer = by
		}
	}
	s.standings = auth.NewStandings(now)
	if told.cached != nil {
		s.standings.Observed(func(hit bool) { told.cached("sessions", hit) })
	}
	changed := func(id string) {
		s.standings.ForgetUser(id)
		s.shared.changed(context.Background(), log, userTopic, id)
	}
	s.audit = audit.New(audit.Options{DB: s.db, Node: hostName(), Secrets: secrets, Now: now})
	s.settings = setting.New(setting.Options{DB: s.db, Keys: runningKeys(c), Audit: s.audit, Now: now, Log: log})
	if err := s.settings.Load(ctx); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	s.accounts = account.New(account.Options{DB: s.db, Secrets: secrets, Audit: s.audit, Changed: changed, Limits: accountLimits(c), Now: now, Log: log})
	s.auth, err = auth.New(ctx, auth.Options{
		DB: s.db, Accounts: s.accounts, Secrets: secrets, Audit: s.audit, Standings: s.standings, Registration: func() (string, error) { return s.settings.Text(admin.Registration) },
		Issuer: c.Site.PublicURL, PublicURL: strings.TrimSuffix(c.Site.PublicURL, "/"), SiteName: siteName, AccessTTL: c.Auth.AccessTTL, Mail: mailer,
		Security: told.security,
		Now:      now, Log: log,
	})
	s.once = once.New(once.Options{DB: s.db, Secrets: secrets, Now: now, Log: log})
	s.webhooks = webhook.New(webhook.Options{
		DB: s.db, Secrets: secrets, Audit: s.audit, Jobs: s.jobs, Loopback: c.Ingest.Open, // open: where one develops
		Barred: []uint16{uint16(portNumber(c.Admin.Addr))},
		Most:   func(u db.User) int64 { return s.accounts.LimitsOf(u).Webhooks }, Now: now, Log: log,
	})
	s.keys = serverkey.New(serverkey.Options{DB: s.db, Secrets: secrets, Audit: s.audit, Security: told.security, Now: now, Log: log})
	s.seals = reseal.New(reseal.Options{DB: s.db, Secrets: secrets, Log: log, Columns: sealedColumns(s.accounts)})
	return err
}

// sealedColumns are all that are sealed for longer than a day.
func sealedColumns(accounts *account.Service) []reseal.Column {
	return slices.Concat(accounts.Sealed(), auth.Sealed(), serverkey.Sealed(), audit.Sealed(), webhook.Sealed(), stream.SealedForwards())
}

// hostName names this node in records; "" where the machine has none.
func hostName() string {
	host, _ := os.Hostname()
	return host
}

// runningKeys are those of the configuration that an admin may change while the server runs.
func runningKeys(c *configs.Config) []setting.Key {
	var keys []setting.Key
	for _, k := range c.Keys() {
		if !slices.Contains(admin.RunningKeys(), k.Path) {
			continue
		}
		source := c.From[k.Path]
		if source == "" {
			source = setting.FromDefault
		}
		keys = append(keys, setting.Key{
			Path: k.Path, Help: k.Help, Default: k.Default(), Value: k.Text(), Source: source, Number: k.Number(), Check: k.Check,
		})
	}
	return keys
}

// accountLimits are how much users may have.
func accountLimits(c *configs.Config) account.Limits {
	a := c.Limits.Account
	return account.Limits{
		StorageBytes: a.Storage, UploadsADay: int64(a.UploadsADay), FileBytes: a.File, DurationS: int64(a.Duration / time.Second),
		Streams: int64(a.Streams), StreamKeys: int64(a.StreamKeys), Webhooks: int64(a.Webhooks), APITokens: int64(a.APITokens),
	}
}

// siteName stands in mails and in authenticator apps.
const siteName = "mediad"

// keeper names this node where others keep recordings in the same database; "": all are its own.
func (s *site) keeper() string {
	if s.db.Engine() == db.SQLite {
		return ""
	}
	return s.node
}

func (s *site) close() {
	s.shared.close()
	_ = s.db.Close()
}

// started is what a start made that is shown once, or what a later start may still say.
type started struct {
	adminName, adminPassword string // the password is empty unless it was made just now
	stream                   string
	key, keyHint             string // the key is empty unless it was made just now
}

// mainStream is made at the first start, so that there is something to type into OBS.
const mainStream = "main"

// firstRun makes the first admin, the list of categories and the stream main, where they are missing.
func (s *site) firstRun(ctx context.Context, c *configs.Config) (started, error) {
	var first started
	admin, made, err := s.accounts.EnsureFirstAdmin(ctx, c.AdminUsername, c.AdminPassword)
	if err != nil {
		return first, fmt.Errorf("first admin: %w", err)
	}
	first.adminName, first.stream = admin.User.Username, mainStream
	if made {
		first.adminPassword = admin.OneTimePassword
	}
	if err := s.categories.Ensure(ctx); err != nil {
		return first, fmt.Errorf("categories: %w", err)
	}
	created, made, err := s.streams.Ensure(ctx, stream.Create{OwnerID: admin.User.ID, Slug: mainStream, Title: "Main"})
	if err != nil {
		return first, fmt.Errorf("stream %s: %w", mainStream, err)
	}
	if made {
		first.key = created.Secret
		return first, nil
	}
	key, err := s.streams.LiveKey(ctx, mainStream)
	switch {
	case err == nil:
		first.keyHint = key.Hint
	case !errors.Is(err, stream.ErrNotFound):
		return first, err
	}
	return first, nil
}

// withSite runs a subcommand on the site that the configuration names. A site is made only where data_dir was set on purpose: a
// subcommand that is run in the wrong place must not make a second one there.
func (p *program) withSite(ctx context.Context, c configs.Loaded, run func(*site) error) error {
	if _, err := os.Stat(c.DataDir); err != nil && !slices.Contains(c.Changed, "data_dir") {
		return fmt.Errorf("data_dir: %w; start the server once, or name its configuration with --config", err)
	}
	level := new(slog.LevelVar)
	level.Set(slog.LevelWarn)
	s, err := openSite(ctx, c.Config, time.Now, newLogger(p.stderr, "text", level))
	if err != nil {
		return err
	}
	defer s.close()
	admin, made, err := s.accounts.EnsureFirstAdmin(ctx, c.AdminUsername, c.AdminPassword)
	if err != nil {
		return fmt.Errorf("first admin: %w", err)
	}
	if made && admin.OneTimePassword != "" {
		fmt.Fprintf(p.stderr, "admin   %s, one-time password %s   (shown once)\n", admin.User.Username, admin.OneTimePassword)
	}
	return run(s)
}
