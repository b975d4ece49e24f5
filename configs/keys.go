package configs

import (
	"slices"
	"strings"
	"time"
)

// Key is one configuration key of a Config.
type Key struct {
	// Path is the key in the file, dotted: hls.part_target.
	Path string
	// Help says in one line what the key does.
	Help string
	// Secret values are masked wherever the configuration is printed.
	Secret bool
	// Reloads says that a SIGHUP takes a new value over without a restart.
	Reloads bool
	// Later marks a key whose part of the server is not built yet: it is accepted, and a value other than the default
	// is told in the log.
	Later bool

	value value
}

// Env is the environment variable that sets the key: MEDIAD_HLS_PART_TARGET.
func (k Key) Env() string { return "MEDIAD_" + strings.ToUpper(strings.ReplaceAll(k.Path, ".", "_")) }

// Text is the key's value as the file would have it.
func (k Key) Text() string { return k.value.String() }

// Check says what is wrong with a value for the key.
func (k Key) Check(text string) error {
	for _, one := range Default().Keys() {
		if one.Path == k.Path {
			return one.value.Set(text)
		}
	}
	return nil
}

// Default is the key's value in a server that was told nothing.
func (k Key) Default() string { return Default().text(k.Path) }

// Number says that values are whole numbers.
func (k Key) Number() bool {
	_, ok := k.value.(intValue)
	return ok
}

// quotas are the default rate limits of api.md 3.7.
func quotas() map[string]Quota {
	const minute, hour = time.Minute, time.Hour
	return map[string]Quota{
		"user": {600, minute}, "anonymous": {300, minute}, "login": {30, 15 * minute}, "register": {5, hour}, "register_tries": {30, hour},
		"refresh": {30, minute}, "comment": {10, minute}, "interact": {120, minute}, "upload": {30, hour},
		"gift": {600, minute}, "search": {60, minute}, "report": {20, hour}, "play": {12, minute}, "clip": {10, minute},
	}
}

// Default is the configuration of a server that was told nothing.
func Default() *Config {
	c := &Config{}
	c.DataDir = "./data"
	c.HTTP.Addr, c.HTTPS.Addr = ":8080", ":8443"
	c.RTMP.Addr, c.RTMPS.Addr = ":1935", ":1936"
	c.RTSP.Addr, c.SRT.Addr, c.WebRTC.Addr = ":8554", ":8890", ":8189"
	c.RTSP.UDPAddr, c.SRT.Latency = ":0", 120*time.Millisecond
	c.Admin.Addr = "127.0.0.1:9090"
	c.Ingest.ResumeWindow, c.Ingest.ReadTimeout = time.Minute, 5*time.Second
	c.HLS.PartTarget, c.HLS.SegmentTarget = 200*time.Millisecond, 2*time.Second
	c.HLS.Window, c.HLS.DVR = 30*time.Second, 2*time.Hour
	c.Transcode.Ladder, c.Transcode.HWAccel = "auto", "auto"
	c.Record.On, c.Record.Keep, c.Record.MinFree = true, 14*day, 0.1
	c.Edge.CacheSize = 10e9
	c.Hooks.Format = "json"
	c.Auth.Registration, c.Auth.StreamerApproval, c.Auth.AccessTTL = "open", "auto", 15*time.Minute
	c.Limits.Scale, c.Limits.Connections, c.Limits.Quotas = 1, 512, quotas()
	a := &c.Limits.Account
	a.Storage, a.File, a.Duration = 50<<30, 16<<30, 12*time.Hour
	a.UploadsADay, a.Streams, a.StreamKeys, a.Webhooks, a.APITokens, a.Clips = 20, 3, 5, 5, 20, 100
	c.Gifts.ShareBP, c.Clips = 7000, "followers"
	c.Log.Level, c.Log.Format = "info", "auto"
	return c
}

// Keys lists every key of c in the order of the reference file.
func (c *Config) Keys() []Key {
	str := func(p *string) value { return stringValue{p} }
	dur := func(p *time.Duration, lo, hi time.Duration) value { return durationValue{p, lo, hi} }
	keys := []Key{
		{Path: "data_dir", Help: "embedded database, disk blobs, secrets", value: str(&c.DataDir)},
		{Path: "secret_key", Help: "master key for what is sealed at rest, 32 characters or more, former ones behind commas; made once in data_dir/secrets when empty", Secret: true, value: str(&c.SecretKey)},

		{Path: "http.addr", Help: "HTTP/1.1 and h2c", value: addrValue{&c.HTTP.Addr}},
		{Path: "http.trusted_proxies", Help: "networks whose X-Forwarded-* are believed", Reloads: false, value: prefixesValue{&c.HTTP.TrustedProxies}},
		{Path: "http.cors_origins", Help: "other origins that may call the API", value: listValue{&c.HTTP.CORSOrigins}},
		{Path: "https.addr", Help: "the same over TLS and HTTP/2, once tls.* is set", value: addrValue{&c.HTTPS.Addr}},
		{Path: "rtmp.addr", Help: "RTMP publish", value: addrValue{&c.RTMP.Addr}},
		{Path: "rtmps.addr", Help: "RTMP over TLS, once tls.* is set", value: addrValue{&c.RTMPS.Addr}},
		{Path: "rtsp.addr", Help: "RTSP publish and play", value: addrValue{&c.RTSP.Addr}},
		{Path: "rtsp.udp_addr", Help: "RTP by UDP, an even port and the one behind it; :0 takes a free pair", value: addrValue{&c.RTSP.UDPAddr}},
		{Path: "srt.addr", Help: "SRT publish and play", value: addrValue{&c.SRT.Addr}},
		{Path: "srt.passphrase", Help: "what every caller encrypts with, 10 to 79 characters; empty: nobody does", Secret: true, value: str(&c.SRT.Passphrase)},
		{Path: "srt.latency", Help: "how long lost packets may be asked for again; added to the delay", value: dur(&c.SRT.Latency, 20*time.Millisecond, 8*time.Second)},
		{Path: "webrtc.addr", Help: "ICE for WHIP and WHEP, one port for UDP and TCP", value: addrValue{&c.WebRTC.Addr}},
		{Path: "webrtc.public_addrs", Help: "addresses behind NAT or in a container", value: listValue{&c.WebRTC.PublicAddrs}},
		{Path: "webrtc.ice_servers", Help: "STUN and TURN servers told to browsers", Secret: true, value: listValue{&c.WebRTC.ICEServers}},
		{Path: "admin.addr", Help: "metrics, health, pprof", value: addrValue{&c.Admin.Addr}},
		{Path: "proxy_protocol", Help: "networks whose PROXY protocol header is believed", Later: true, value: prefixesValue{&c.ProxyProtocol}},

		{Path: "tls.cert", Help: "certificate chain, PEM file", Reloads: true, value: str(&c.TLS.Cert)},
		{Path: "tls.key", Help: "its private key, PEM file", Reloads: true, value: str(&c.TLS.Key)},
		{Path: "tls.self_signed", Help: "make a certificate for this host in data_dir", value: boolValue{&c.TLS.SelfSigned}},
		{Path: "tls.acme.domains", Help: "names to get certificates for by ACME", value: listValue{&c.TLS.ACME.Domains}},
		{Path: "tls.acme.email", Help: "contact told to the ACME authority", value: str(&c.TLS.ACME.Email)},

		{Path: "site.public_url", Help: "the site's URL as viewers see it; from the request when empty", value: str(&c.Site.PublicURL)},
		{Path: "site.ingest_host", Help: "host advertised to publishers; the request's host when empty", value: str(&c.Site.IngestHost)},

		{Path: "database.url", Help: "postgres://user:password@host/name?sslmode=verify-full; SQLite in data_dir when empty or sqlite", Secret: true, value: databaseValue{&c.Database.URL}},
		{Path: "database.replicas", Help: "URLs of PostgreSQL's hot standbys, for reads", Secret: true, value: replicasValue{&c.Database.Replicas}},
		{Path: "redis.url", Help: "redis://user:password@host:6379/0, rediss:// with TLS: what nodes share for a moment; in process when empty", Secret: true, value: redisValue{&c.Redis.URL}},
		{Path: "blob.url", Help: "s3://bucket?endpoint=…; disk in data_dir when empty", value: blobValue{&c.Blob.URL}},
		{Path: "blob.access_key", Help: "S3 access key", Secret: true, value: str(&c.Blob.AccessKey)},
		{Path: "blob.secret_key", Help: "S3 secret key", Secret: true, value: str(&c.Blob.SecretKey)},

		{Path: "ingest.open", Help: "development: any key publishes and names the stream", value: boolValue{&c.Ingest.Open}},
		{Path: "ingest.resume_window", Help: "how long viewers are held when a publisher drops", value: dur(&c.Ingest.ResumeWindow, 0, 10*time.Minute)},
		{Path: "ingest.read_timeout", Help: "silence after which a publisher counts as gone", value: dur(&c.Ingest.ReadTimeout, time.Second, time.Minute)},

		{Path: "sources", Help: "cameras to pull from: STREAM=rtsp://user:password@host/path, rtsp+tcp:// and rtsp+udp:// name the transport", Secret: true, value: routesValue{&c.Sources, []string{"rtsp", "rtsps", "rtsp+tcp", "rtsp+udp"}}},
		{Path: "forwards", Help: "servers that streams are forwarded to: STREAM=rtmp://host/app/key, rtmps:// or srt://host:port?streamid=…", Secret: true, value: routesValue{&c.Forwards, []string{"rtmp", "rtmps", "srt"}}},

		{Path: "hls.part_target", Help: "nominal part; a session takes whole frames", value: dur(&c.HLS.PartTarget, 100*time.Millisecond, time.Second)},
		{Path: "hls.segment_target", Help: "segment, whole seconds", value: dur(&c.HLS.SegmentTarget, 2*time.Second, 10*time.Second)},
		{Path: "hls.window", Help: "live window", value: dur(&c.HLS.Window, 12*time.Second, 10*time.Minute)},
		{Path: "hls.dvr", Help: "range of dvr.m3u8", value: dur(&c.HLS.DVR, 0, 24*time.Hour)},

		{Path: "transcode.ladder", Help: "off, auto, or the name of a file in the folder ladders beside this one", value: str(&c.Transcode.Ladder)},
		{Path: "transcode.hwaccel", Help: "hardware encoder; auto takes the first that encodes a second of pictures", value: enumValue{&c.Transcode.HWAccel, []string{"auto", "none", "nvenc", "vaapi", "qsv"}}},

		{Path: "record", Help: "live sessions become replays", value: boolValue{&c.Record.On}},
		{Path: "record.keep", Help: "how long replays are kept", value: dur(&c.Record.Keep, time.Hour, 10*365*day)},
		{Path: "record.min_free", Help: "share of the disk that stays free; the oldest replays go for it", value: percentValue{&c.Record.MinFree}},
		{Path: "record.stream_max", Help: "how much a stream's replays may take, as 50GB; the oldest go; 0: any amount", value: sizeValue{&c.Record.StreamMax}},

		{Path: "edge.origin", Help: "the server that --role edge stands in front of: https://host or http://host:8080", value: originValue{&c.Edge.Origin}},
		{Path: "edge.cache_dir", Help: "where an edge keeps media; data_dir/edge when empty", value: str(&c.Edge.CacheDir)},
		{Path: "edge.cache_size", Help: "how much it keeps there", value: sizeValue{&c.Edge.CacheSize}},

		{Path: "hooks.on_publish", Help: "URL asked before a publish is accepted", Secret: true, value: str(&c.Hooks.OnPublish)},
		{Path: "hooks.on_play", Help: "URL asked before a play by RTSP or SRT is accepted", Secret: true, value: str(&c.Hooks.OnPlay)},
		{Path: "hooks.format", Help: "json, or form for programs written for nginx-rtmp", value: enumValue{&c.Hooks.Format, []string{"json", "form"}}},
		{Path: "hooks.secret", Help: "what those requests are signed with; made once in data_dir/secrets/hooks.key when empty", Secret: true, value: str(&c.Hooks.Secret)},

		{Path: "auth.registration", Help: "who may register", value: enumValue{&c.Auth.Registration, []string{"open", "invite", "closed"}}},
		{Path: "auth.streamer_approval", Help: "who may become a streamer", value: enumValue{&c.Auth.StreamerApproval, []string{"auto", "manual"}}},
		{Path: "auth.access_ttl", Help: "life of an access token", value: dur(&c.Auth.AccessTTL, time.Minute, time.Hour)},
		{Path: "limits.scale", Help: "multiplies every rate limit; 0 turns them off", value: floatValue{&c.Limits.Scale, 0, 1e6}},
		{Path: "limits.connections", Help: "HTTP connections of one address, an IPv4 one or an IPv6 /64; 0: any number", value: intValue{&c.Limits.Connections, 0, 1_000_000}},
		{Path: "limits.live_sessions", Help: "broadcasts that one user, admins aside, may have on air at the same time; 0: any number", value: intValue{&c.Limits.LiveSessions, 0, 10_000}},
	}
	for _, name := range []string{"anonymous", "user", "login", "register", "register_tries", "refresh", "interact", "upload", "comment", "gift", "search", "report", "play", "clip"} {
		keys = append(keys, Key{Path: "limits." + name, Help: "calls in a window for the policy " + name, Later: !slices.Contains([]string{"anonymous", "user", "login", "register", "register_tries", "refresh", "interact", "upload", "clip"}, name), value: quotaValue{c.Limits.Quotas, name}})
	}
	account := &c.Limits.Account
	return append(keys,
		Key{Path: "limits.storage", Help: "what a user may store", value: sizeValue{&account.Storage}},
		Key{Path: "limits.uploads_a_day", Help: "how many files a user may upload a day", Later: true, value: intValue{&account.UploadsADay, 0, 100_000}},
		Key{Path: "limits.file", Help: "how large one may be", Later: true, value: sizeValue{&account.File}},
		Key{Path: "limits.duration", Help: "how long one may last", Later: true, value: dur(&account.Duration, time.Minute, 7*day)},
		Key{Path: "limits.streams", Help: "how many streams a user may have; admins any number", value: intValue{&account.Streams, 1, 10_000}},
		Key{Path: "limits.stream_keys", Help: "how many keys a stream may have", value: intValue{&account.StreamKeys, 1, 1000}},
		Key{Path: "limits.webhooks", Help: "how many webhooks a user may have", value: intValue{&account.Webhooks, 0, 1000}},
		Key{Path: "limits.api_tokens", Help: "how many API tokens a user may have", value: intValue{&account.APITokens, 0, 1000}},
		Key{Path: "gifts.share_bp", Help: "the receiver's share of a gift in 1/10000", Later: true, value: intValue{&c.Gifts.ShareBP, 0, 10000}},
		Key{Path: "limits.clips", Help: "how many clips of others' broadcasts a user may have: what they are cut out of is kept as long as they are", value: intValue{&account.Clips, 0, 100_000}},
		Key{Path: "clips", Help: "who may cut clips out of a stream's broadcasts: its followers, everybody who is signed in, or its owner alone", value: enumValue{&c.Clips, []string{"followers", "all", "owner"}}},
		Key{Path: "mail.smtp_url", Help: "smtp://user:password@host:587, or smtps://; ?from=tv@example.org names the sender", Secret: true, value: str(&c.Mail.SMTPURL)},
		Key{Path: "alerts.rules", Help: "file of alerting rules for Prometheus that the server evaluates itself; its own when empty; off: none", value: str(&c.Alerts.Rules)},
		Key{Path: "log.level", Help: "debug, info, warn or error", Reloads: true, value: enumValue{&c.Log.Level, []string{"debug", "info", "warn", "error"}}},
		Key{Path: "log.format", Help: "auto is text on a terminal and JSON otherwise", value: enumValue{&c.Log.Format, []string{"auto", "text", "json"}}},
	)
}
