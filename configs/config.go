// Package configs holds the configuration: its keys with their defaults, the commented reference file, and the loading
// of file and environment. Only cmd imports it; everything else is handed the values it needs.
package configs

import (
	_ "embed"
	"net/netip"
	"time"

	"mediad/configs/ladders"
)

// Reference is configs/mediad.yaml: every key with its default and what it does. A test keeps it true.
//
//go:embed mediad.yaml
var Reference []byte

// AlertRules is configs/alerts.yml: the rules that a server evaluates over its own metrics, and that Prometheus may.
//
//go:embed alerts.yml
var AlertRules []byte

// Config is the effective configuration.
type Config struct {
	DataDir   string
	SecretKey string

	HTTP struct {
		Addr           string
		TrustedProxies []netip.Prefix
		CORSOrigins    []string
	}
	HTTPS, RTMP, RTMPS, Admin struct{ Addr string }
	RTSP                      struct{ Addr, UDPAddr string }
	SRT                       struct {
		Addr, Passphrase string
		Latency          time.Duration
	}

	WebRTC struct {
		Addr        string
		PublicAddrs []string
		ICEServers  []string
	}
	ProxyProtocol []netip.Prefix

	TLS struct {
		Cert, Key  string
		SelfSigned bool
		ACME       struct {
			Domains []string
			Email   string
		}
	}
	Site struct{ PublicURL, IngestHost string }

	Database struct {
		URL      string
		Replicas []string
	}
	Redis struct{ URL string }
	Blob  struct{ URL, AccessKey, SecretKey string }

	Ingest struct {
		Open         bool
		ResumeWindow time.Duration
		ReadTimeout  time.Duration
	}
	// Sources are pulled from: STREAM=URL. Forwards are pushed to: the same.
	Sources, Forwards []string

	HLS struct {
		PartTarget, SegmentTarget, Window, DVR time.Duration
	}
	Transcode struct {
		Ladder, HWAccel string
		// Rungs is what Ladder names; nil where it is off.
		Rungs *ladders.Ladder
	}
	Record struct {
		On      bool
		Keep    time.Duration
		MinFree float64 // share of the disk, 0 to 1
		// StreamMax is in bytes; 0: any number.
		StreamMax int64
	}
	Edge struct {
		// Origin is a URL of scheme, host and port.
		Origin, CacheDir string
		CacheSize        int64 // bytes
	}
	Hooks struct{ OnPublish, OnPlay, Format, Secret string }

	Auth struct {
		Registration, StreamerApproval string
		AccessTTL                      time.Duration
	}
	Limits struct {
		Scale float64
		// Connections is how many an address may have to the HTTP listeners; 0: any number.
		Connections int
		// LiveSessions is how many broadcasts a user may have on air at the same time; 0: any number.
		LiveSessions int
		// Account is how much a user may have whom no admin allows otherwise.
		Account struct {
			Storage, File                                                int64 // bytes
			Duration                                                     time.Duration
			UploadsADay, Streams, StreamKeys, Webhooks, APITokens, Clips int
		}
		// Quotas by policy name (api.md 3.7).
		Quotas map[string]Quota
	}
	Gifts struct{ ShareBP int }
	Clips string
	Mail  struct{ SMTPURL string }

	// Alerts.Rules is a file of rules for Prometheus; "": AlertRules, off: none.
	Alerts struct{ Rules string }

	Log struct{ Level, Format string }

	// From says of each key that file or environment set which of them it was: file or env.
	From map[string]string

	// Admin account made at the first start, from the environment alone.
	AdminUsername, AdminPassword string
}

// Quota is how many calls a caller has in a window.
type Quota struct {
	Calls  int
	Window time.Duration
}
