// Command mediad is a live streaming server: RTMP, WHIP, RTSP and SRT in, Low-Latency HLS and WebRTC out, and the platform around it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v3"

	"mediad/configs"
)

// Exit codes, part of the contract.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	// The signals are never given back: the process ends with run.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	os.Exit(run(ctx, os.Args, os.Environ(), os.Stdout, os.Stderr))
}

// run is the whole program: tests call it as a shell would. It returns the exit code.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	p := &program{environ: environ, stdin: os.Stdin, stdout: stdout, stderr: stderr}
	return p.run(ctx, args)
}

func (p *program) run(ctx context.Context, args []string) int {
	err := p.root().Run(ctx, args)
	if err == nil {
		err = p.unknown
	}
	if err == nil {
		return exitOK
	}
	var code exitError
	if errors.As(err, &code) {
		return int(code)
	}
	fmt.Fprintf(p.stderr, "mediad: %v\n", err)
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintln(p.stderr, "mediad: see "+helpFor(p.root(), args))
		return exitUsage
	}
	return exitFailure
}

// helpFor is what to type for help with the command that args name: the flags of each are told by its own.
func helpFor(root *cli.Command, args []string) string {
	c, path := root, root.Name
	for _, word := range args[min(1, len(args)):] {
		if strings.HasPrefix(word, "-") {
			continue
		}
		if sub := c.Command(word); sub != nil {
			c, path = sub, path+" "+sub.Name
		} else if c != root {
			break
		}
	}
	if c == root {
		return root.Name + " help"
	}
	return path + " --help"
}

// program is what every subcommand works with.
type program struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	unknown        error // the word that help was asked about and does not know: its library lets no error through
}

// usageError is the caller's fault: exit code 2.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitError ends the program with a code and without a further word.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func (p *program) root() *cli.Command {
	root := &cli.Command{
		Name:  "mediad",
		Usage: "media-first streaming server: RTMP, WHIP, RTSP and SRT in, Low-Latency HLS and WebRTC out",
		Description: "Without a command it serves, as mediad serve does. Configuration comes from --config FILE and from\n" +
			"MEDIAD_… variables; configs/mediad.yaml is the commented reference.",
		Writer:         p.stdout,
		ErrWriter:      p.stderr,
		HideVersion:    true,
		Flags:          []cli.Flag{configFlag(), roleFlag()},
		Before:         checkRoles,
		Action:         p.serve,
		Commands:       p.commands(),
		ExitErrHandler: func(context.Context, *cli.Command, error) {},
	}
	p.tellFaults(root)
	return root
}

// tellFaults lets c and what is below it say what is wrong in our words.
func (p *program) tellFaults(c *cli.Command) {
	c.OnUsageError = onUsageError
	c.CommandNotFound = func(_ context.Context, c *cli.Command, word string) { p.unknown = unknownCommand(word, "", c.Commands) }
	for _, sub := range c.Commands {
		p.tellFaults(sub)
	}
}

func (p *program) commands() []*cli.Command {
	return []*cli.Command{
		p.serveCommand(),
		p.hlslintCommand(),
		p.doctorCommand(),
		p.userCommand(),
		p.streamCommand(),
		p.clipCommand(),
		p.migrateCommand(),
		p.copyCommand(),
		p.backupCommand(),
		p.drainCommand(),
		p.restoreCommand(),
		p.configCommand(),
		p.versionCommand(),
	}
}

func onUsageError(_ context.Context, c *cli.Command, err error, _ bool) error {
	if _, name, ok := strings.Cut(err.Error(), "flag provided but not defined: -"); ok {
		if c.FullName() == "mediad restore" && strings.TrimLeft(name, "-") == "blobs" {
			return usagef("restore brings back the media that the backup has without being told, and there is no flag --blobs; --rows leaves it out")
		}
		var known []string
		for _, of := range c.Lineage() {
			for _, f := range of.Flags {
				if local, ok := f.(cli.LocalFlag); ok && local.IsLocal() && of != c {
					continue
				}
				for _, n := range f.Names() {
					known = append(known, "--"+n)
				}
			}
		}
		name = "--" + strings.TrimLeft(name, "-")
		return usagef("there is no flag %s%s", name, configs.DidYouMean(name, known))
	}
	return usageError{err}
}

// unknownCommand refuses a word that is no command, with the nearest that is one.
func unknownCommand(word, below string, commands []*cli.Command) error {
	var known []string
	for _, c := range commands {
		known = append(known, c.Name)
	}
	return usagef("there is no command %s%s%s", word, below, configs.DidYouMean(word, known))
}

// group is a command that only has commands below it.
func group(name, usage string, commands ...*cli.Command) *cli.Command {
	return &cli.Command{Name: name, Usage: usage, Commands: commands,
		Action: func(_ context.Context, c *cli.Command) error {
			if word := c.Args().First(); word != "" {
				return unknownCommand(word, " below "+name, commands)
			}
			return usagef("%s needs a command: %s", name, commandNames(commands))
		}}
}

// noArguments refuses words behind a command that takes none: most are a value whose flag was forgotten.
func noArguments(run cli.ActionFunc) cli.ActionFunc {
	return func(ctx context.Context, c *cli.Command) error {
		if word := c.Args().First(); word != "" {
			return usagef("%s takes no arguments, there is %q", c.FullName(), word)
		}
		return run(ctx, c)
	}
}

func commandNames(commands []*cli.Command) string {
	names := make([]string, len(commands))
	for i, c := range commands {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}
