package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v3"
)

// version is stamped by the linker: -X main.version=v1.2.3.
var version = "dev"

func (p *program) versionCommand() *cli.Command {
	return &cli.Command{Name: "version", Usage: "print the version",
		Action: noArguments(func(context.Context, *cli.Command) error {
			fmt.Fprintf(p.stdout, "mediad %s (%s, %s/%s%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH, revision())
			return nil
		})}
}

// revision is the commit that the toolchain noted, empty where it could not.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return ", " + s.Value[:12]
		}
	}
	return ""
}
