package main

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"mediad/configs"
)

// watchReload takes the configuration's reloadable keys over at each SIGHUP, and tells which others have changed.
func (n *node) watchReload(ctx context.Context, certificates chan certificatePaths, certs *certificates) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	files := certs != nil && certs.files != nil
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
		}
		loaded, err := configs.Load(n.file, n.environ)
		if err != nil {
			n.log.Error("configuration not reloaded, the old one stays", "error", err)
			continue
		}
		if n.edge {
			loaded.Config = edgeConfig(loaded.Config)
		}
		setLevel(&n.level, loaded.Log.Level)
		if files && loaded.TLS.Cert != "" {
			select {
			case <-certificates: // what was not taken yet is old now
			default:
			}
			certificates <- certificatePaths{loaded.TLS.Cert, loaded.TLS.Key}
		}
		if keys := needRestart(n.config, loaded.Config, files); len(keys) > 0 {
			n.log.Warn("configuration: changed keys need a restart", "keys", strings.Join(keys, " "))
		}
		n.log.Info("configuration reloaded", "level", loaded.Log.Level)
	}
}

// needRestart names the keys that differ and that a running server does not take over. files says that certificates come from files,
// which it does.
func needRestart(running, wanted *configs.Config, files bool) []string {
	var names []string
	after := wanted.Keys()
	for i, k := range running.Keys() {
		reloads := k.Reloads && (files && wanted.TLS.Cert != "" || !strings.HasPrefix(k.Path, "tls."))
		if k.Text() != after[i].Text() && !reloads && !k.Later {
			names = append(names, k.Path)
		}
	}
	return names
}
