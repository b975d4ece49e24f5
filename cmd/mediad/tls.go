package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme/autocert"

	"mediad/configs"
)

// certificates answers handshakes with the certificate in force.
type certificates struct {
	get  func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	next []string // protocols that the source itself needs beside ours
	// files is nil unless the certificate comes from files.
	files *certificateFiles
	// selfSigned tells that browsers warn and OBS refuses.
	selfSigned bool
}

// newCertificates returns nil when no tls.* is configured.
func newCertificates(c *configs.Config, now func() time.Time, log *slog.Logger) (*certificates, error) {
	switch {
	case c.TLS.Cert != "":
		files := &certificateFiles{log: log}
		if err := files.load(certificatePaths{c.TLS.Cert, c.TLS.Key}); err != nil {
			return nil, fmt.Errorf("tls.cert and tls.key: %w", err)
		}
		return &certificates{get: files.get, files: files}, nil
	case len(c.TLS.ACME.Domains) > 0:
		m := &autocert.Manager{
			Prompt:     autocert.AcceptTOS,
			HostPolicy: autocert.HostWhitelist(c.TLS.ACME.Domains...),
			Cache:      autocert.DirCache(filepath.Join(c.DataDir, "secrets", "acme")),
			Email:      c.TLS.ACME.Email,
		}
		return &certificates{get: m.GetCertificate, next: []string{"acme-tls/1"}}, nil
	case c.TLS.SelfSigned:
		cert, err := selfSigned(filepath.Join(c.DataDir, "secrets"), c.Site.IngestHost, now())
		if err != nil {
			return nil, fmt.Errorf("tls.self_signed: %w", err)
		}
		return &certificates{get: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }, selfSigned: true}, nil
	default:
		return nil, nil
	}
}

// config is for a listener that speaks the given protocols.
func (c *certificates) config(protocols ...string) *tls.Config {
	return &tls.Config{GetCertificate: c.get, NextProtos: append(protocols, c.next...), MinVersion: tls.VersionTLS12}
}

// wrap makes a listener of a TLS one; nil stays nil.
func (c *certificates) wrap(l net.Listener, protocols ...string) net.Listener {
	if l == nil {
		return nil
	}
	return tls.NewListener(l, c.config(protocols...))
}

// certificatePaths are a certificate chain and its key, PEM files.
type certificatePaths struct{ cert, key string }

// certificateFiles is a pair of PEM files that is read again when it changes.
type certificateFiles struct {
	log     *slog.Logger
	current atomic.Pointer[tls.Certificate]

	// Used by Run alone after the first load.
	paths certificatePaths
	read  time.Time // when the files were changed that are in force
}

func (f *certificateFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.current.Load(), nil
}

// load takes the pair at the paths over if its parts belong together.
func (f *certificateFiles) load(paths certificatePaths) error {
	changed := paths.changed()
	cert, err := tls.LoadX509KeyPair(paths.cert, paths.key)
	if err != nil {
		return err
	}
	f.current.Store(&cert)
	f.paths, f.read = paths, changed
	return nil
}

// changed is when the younger of the two was changed; zero if neither is there.
func (p certificatePaths) changed() time.Time {
	var newest time.Time
	for _, name := range []string{p.cert, p.key} {
		if info, err := os.Stat(name); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return newest
}

// certificateInterval is how often files are looked at. Renewals come weeks ahead.
const certificateInterval = 30 * time.Second

// Run looks at each interval whether the files have changed, and takes over those that come on reload. A pair that does not fit is
// told and the one in force stays.
func (f *certificateFiles) Run(ctx context.Context, reload <-chan certificatePaths) error {
	tick := time.NewTicker(certificateInterval)
	defer tick.Stop()
	for {
		paths := f.paths
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if f.paths.changed().Equal(f.read) { // a file put in its place may be older than the one before
				continue
			}
		case paths = <-reload:
		}
		if err := f.load(paths); err != nil {
			f.log.Error("certificate not reloaded, the old one stays", "cert", paths.cert, "error", err)
			continue
		}
		f.log.Info("certificate reloaded", "cert", paths.cert)
	}
}

// selfSigned returns the certificate kept in dir, or makes one there for this host's names and addresses. It lasts a year
// and is made anew in its last month.
func selfSigned(dir, host string, now time.Time) (*tls.Certificate, error) {
	file := filepath.Join(dir, "self-signed.pem")
	if text, err := os.ReadFile(file); err == nil {
		cert, err := tls.X509KeyPair(text, text)
		if err == nil && cert.Leaf != nil && now.Before(cert.Leaf.NotAfter.AddDate(0, -1, 0)) && (host == "" || cert.Leaf.VerifyHostname(host) == nil) {
			return &cert, nil
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "mediad self-signed"},
		NotBefore:    now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if name, err := os.Hostname(); err == nil {
		template.DNSNames = append(template.DNSNames, name)
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = append(template.IPAddresses, ip)
	} else if host != "" {
		template.DNSNames = append(template.DNSNames, host)
	}
	if addrs, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() {
				template.IPAddresses = append(template.IPAddresses, n.IP)
			}
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(text, text)
	return &cert, err
}
