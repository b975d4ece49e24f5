package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v3"

	"mediad/configs"
)

// configFlag is the root's and holds for every command, on either side of its name.
func configFlag() cli.Flag {
	return &cli.StringFlag{Name: "config", Aliases: []string{"c"}, Usage: "configuration `FILE`; configs/mediad.yaml is the commented reference"}
}

// load reads the configuration that the command line names; a fault in it is the caller's.
func (p *program) load(c *cli.Command) (configs.Loaded, error) {
	loaded, err := configs.Load(c.String("config"), p.environ)
	if err != nil {
		return loaded, usageError{err}
	}
	return loaded, nil
}

func (p *program) configCommand() *cli.Command {
	return group("config", "show the configuration",
		&cli.Command{Name: "print", Usage: "print the effective configuration, secrets masked",
			Action: noArguments(func(_ context.Context, c *cli.Command) error {
				loaded, err := p.load(c)
				if err != nil {
					return err
				}
				changed := map[string]bool{}
				for _, path := range loaded.Changed {
					changed[path] = true
				}
				for _, k := range loaded.Keys() {
					text := k.Text()
					switch {
					case k.Secret && text != "" && text != "[]":
						text = "****"
					case text == "" || text[0] == ':' || text[0] == '%' || text[0] == '*':
						text = fmt.Sprintf("%q", text)
					}
					mark := ""
					if changed[k.Path] {
						mark = "   # set"
					}
					fmt.Fprintf(p.stdout, "%s: %s%s\n", k.Path, text, mark)
				}
				return nil
			})},
		&cli.Command{Name: "reference", Usage: "print the commented reference file with every default",
			Action: noArguments(func(context.Context, *cli.Command) error {
				_, err := p.stdout.Write(configs.Reference)
				return err
			})},
	)
}
