package main

import (
	"context"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/configs"
	"mediad/internal/testx"
)

// pair writes a certificate and returns where it lies, key and chain in one file, and its serial number.
func pair(t *testing.T) (certificatePaths, string) {
	t.Helper()
	dir := t.TempDir()
	cert, err := selfSigned(dir, "example.org", time.Now())
	require.NoError(t, err)
	file := filepath.Join(dir, "self-signed.pem")
	return certificatePaths{file, file}, cert.Leaf.SerialNumber.String()
}

func TestCertificateFilesAreReadAgain(t *testing.T) {
	testx.NoLeaks(t)
	first, serial := pair(t)
	var log output
	c := configs.Default()
	c.TLS.Cert, c.TLS.Key = first.cert, first.key
	certs, err := newCertificates(c, time.Now, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	inForce := func() string {
		cert, err := certs.get(nil)
		require.NoError(t, err)
		leaf, err := x509.ParseCertificate(cert.Certificate[0])
		require.NoError(t, err)
		return leaf.SerialNumber.String()
	}
	require.Equal(t, serial, inForce())

	ctx, cancel := context.WithCancel(t.Context())
	reload, done := make(chan certificatePaths), make(chan error, 1)
	go func() { done <- certs.files.Run(ctx, reload) }()
	second, other := pair(t)
	reload <- second
	testx.WaitFor(t, "the second certificate", func() bool { return inForce() == other })
	reload <- certificatePaths{second.cert, first.key}
	testx.WaitFor(t, "a word on the pair that does not fit", func() bool { return log.String() != "" && inForce() == other })
	reload <- certificatePaths{filepath.Join(t.TempDir(), "none.pem"), second.key}
	reload <- first
	testx.WaitFor(t, "the first certificate", func() bool { return inForce() == serial })
	require.Contains(t, log.String(), "the old one stays")
	cancel()
	require.NoError(t, <-done)
}

func TestSelfSignedIsKeptAndMadeAnew(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	make1 := func(host string, at time.Time) string {
		cert, err := selfSigned(dir, host, at)
		require.NoError(t, err)
		require.NoError(t, cert.Leaf.VerifyHostname("localhost"))
		require.NoError(t, cert.Leaf.VerifyHostname("::1"))
		if host != "" {
			require.NoError(t, cert.Leaf.VerifyHostname(host))
		}
		info, err := os.Stat(filepath.Join(dir, "self-signed.pem"))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		return cert.Leaf.SerialNumber.String()
	}
	first := make1("", now)
	require.Equal(t, first, make1("", now.AddDate(0, 10, 0)))
	second := make1("live.example.org", now)
	require.NotEqual(t, first, second, "another host")
	require.Equal(t, second, make1("live.example.org", now))
	third := make1("live.example.org", now.AddDate(0, 11, 15))
	require.NotEqual(t, second, third, "its last month")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "self-signed.pem"), []byte("torn"), 0o600))
	require.NotEqual(t, third, make1("", now))
}

func TestKeysThatNeedARestart(t *testing.T) {
	running, wanted := configs.Default(), configs.Default()
	require.Empty(t, needRestart(running, wanted, false))
	wanted.Log.Level, wanted.HLS.Window, wanted.Clips = "debug", time.Minute, "all"
	wanted.TLS.Cert, wanted.TLS.Key = "c", "k"
	require.Equal(t, []string{"tls.cert", "tls.key", "hls.window", "clips"}, needRestart(running, wanted, false))
	require.Equal(t, []string{"hls.window", "clips"}, needRestart(running, wanted, true))
	require.Equal(t, []string{"tls.cert", "tls.key", "hls.window", "clips"}, needRestart(wanted, running, true), "no certificate any more")
}
