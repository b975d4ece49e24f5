package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"mediad/api"
	"mediad/api/limit"
	"mediad/api/playback"
	"mediad/api/system"
)

// platformDeps is what the API is made of.
func (n *node) platformDeps(rows *sessionRows, videos library, people watching, secure bool) (api.Deps, error) {
	c := n.config
	key, err := n.cursorKey()
	if err != nil {
		return api.Deps{}, fmt.Errorf("data_dir: %w", err)
	}
	quotas := map[string]limit.Policy{}
	for name, q := range c.Limits.Quotas {
		quotas[name] = limit.Policy{Name: name, Quota: q.Calls, Window: q.Window}
	}
	anonymous, user := quotas["anonymous"], quotas["user"]
	anonymous.Name, user.Name = "default", "default"
	quotas["user"] = user
	site := system.Site{
		IngestHost: c.Site.IngestHost, RTMPPort: portNumber(c.RTMP.Addr), OpenIngest: c.Ingest.Open,
		RTSPPort: portNumber(c.RTSP.Addr), SRTPort: portNumber(c.SRT.Addr),
		Features: system.Features{
			LowLatency: true, DVR: c.HLS.DVR > 0, Clips: true, Transcode: n.ladder != nil, WHIP: c.WebRTC.Addr != "", WHEP: c.WebRTC.Addr != "",
			Mail: c.Mail.SMTPURL != "" && c.Site.PublicURL != "", // without an address of its own the site's links lead nowhere
		},
	}
	if secure {
		site.RTMPSPort, site.TrustedTLS = portNumber(c.RTMPS.Addr), c.TLS.Cert != "" || len(c.TLS.ACME.Domains) > 0
	}
	return api.Deps{
		Streams: n.site.streams, Live: onAir{n.hub, rows, people.audience, n.thumbs, n.variants, n.streamHealth, n.recheck, n.others, n.owners, n.log}, Videos: n.site.videos, Media: videos, Plays: people.plays, Clipping: n.newClipping(), Log: n.log, Now: n.now,
		Accounts: n.site.accounts, Auth: n.site.auth, Limits: n.site.shared.limits, ServerKeys: n.site.keys, Once: n.site.once, Settings: n.site.settings, Categories: n.site.categories, Overview: n.overview(people),
		Objects: n.site.objects, Exports: n.site.exports,
		Webhooks: n.site.webhooks, Jobs: n.site.jobs, Upkeep: n.site.upkeep, Alerts: n.site.alerts,
		Playback: playback.NewIssuer(n.site.tokens, n.now),
		Blocked: func(ctx context.Context, user string) {
			n.site.policies.OwnerChanged(user)
			n.site.shared.changed(ctx, n.log, ownerTopic, user)
		},
		Heard: func(ctx context.Context, told int64) bool { return n.site.shared.heard(ctx, n.site.db.Engine(), told) },
		Known: n.site.shared.known, Observe: n.observeRequest, Cached: n.metrics.CacheRequest,
		Config: api.Config{
			Site: site, PublicURL: c.Site.PublicURL, CORSOrigins: c.HTTP.CORSOrigins, TrustedProxies: c.HTTP.TrustedProxies,
			LimitScale: c.Limits.Scale, Quota: anonymous, Quotas: quotas, CursorKey: key,
		},
	}, nil
}

// cursorKey seals cursors. Nodes of one database have the same, as a list may be gone on with at another one.
func (n *node) cursorKey() ([]byte, error) {
	if n.cluster != nil {
		return n.site.secrets.Derive("cursors", "lists")[0], nil
	}
	return secret(filepath.Join(n.config.DataDir, "secrets"), "cursor.key")
}

// secret reads a random key of 32 bytes from dir, or makes it there.
func secret(dir, name string) ([]byte, error) {
	file := filepath.Join(dir, name)
	key, err := os.ReadFile(file)
	switch {
	case err == nil && len(key) == 32:
		return key, nil
	case err == nil:
		return nil, fmt.Errorf("%s has %d bytes, not 32: remove it, a new one is made", file, len(key))
	case !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key = make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	return key, os.WriteFile(file, key, 0o600)
}

func portNumber(addr string) int {
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(p)
	if err != nil {
		return 0
	}
	return n
}
