package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"mediad/api/account"
)

func (p *program) userCommand() *cli.Command {
	return group("user", "manage accounts",
		&cli.Command{Name: "create", Usage: "make an account", ArgsUsage: "USERNAME",
			Flags: append(passwordFlags(), &cli.StringFlag{Name: "role", Usage: "`ROLE`: " + roleNames(), Value: string(account.Viewer)}, &cli.StringFlag{Name: "name", Usage: "display `NAME`"}),
			Action: p.siteAction("USERNAME", func(ctx context.Context, c *cli.Command, s *site, name string) error {
				password, err := p.password(ctx, c)
				if err != nil {
					return err
				}
				create := account.Create{Username: name, Password: password, Role: account.Role(c.String("role")), ByAdmin: true}
				if display := c.String("name"); display != "" {
					create.DisplayName = &display
				}
				created, err := s.accounts.Create(ctx, create)
				if err != nil {
					return wrongValue(err)
				}
				fmt.Fprintf(p.stdout, "user      %s\nrole      %s\n", created.User.Username, created.User.Role)
				if created.OneTimePassword != "" {
					fmt.Fprintf(p.stdout, "password  %s   (once; to be changed at the first login)\n", created.OneTimePassword)
				}
				return nil
			})},
		&cli.Command{Name: "passwd", Usage: "replace an account's password", ArgsUsage: "USERNAME", Flags: passwordFlags(),
			Action: p.siteAction("USERNAME", func(ctx context.Context, c *cli.Command, s *site, name string) error {
				password, err := p.password(ctx, c)
				if err != nil {
					return err
				}
				oneTime, err := s.accounts.SetPassword(ctx, name, password)
				if err != nil {
					return wrongValue(err)
				}
				if oneTime != "" {
					fmt.Fprintf(p.stdout, "password  %s   (once; to be changed at the first login)\n", oneTime)
				}
				return nil
			})},
		&cli.Command{Name: "reset", Usage: "print a link to a new password, good once for half an hour", ArgsUsage: "USERNAME",
			Action: p.siteAction("USERNAME", func(ctx context.Context, _ *cli.Command, s *site, name string) error {
				link, expires, err := s.auth.ResetLink(ctx, name)
				if err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "link      %s\nexpires   %s\n", link, expires.Format(time.RFC3339))
				return nil
			})},
		&cli.Command{Name: "reset-totp", Usage: "take the second factor off an account whose user has lost it, and end its sessions", ArgsUsage: "USERNAME",
			Action: p.siteAction("USERNAME", func(ctx context.Context, _ *cli.Command, s *site, name string) error {
				return s.auth.ResetTOTP(ctx, name)
			})},
		&cli.Command{Name: "invite", Usage: "print a code to register with", Flags: []cli.Flag{
			&cli.IntFlag{Name: "uses", Usage: "how many may register with it (`N`)", Value: 1},
			&cli.DurationFlag{Name: "life", Usage: "how long it is good; 0: for ever (`DURATION`)", Value: 7 * 24 * time.Hour},
		}, Action: noArguments(func(ctx context.Context, c *cli.Command) error {
			if c.Int("uses") < 1 || c.Duration("life") < 0 {
				return usagef("user invite: --uses is 1 or more, --life is not negative")
			}
			loaded, err := p.load(c)
			if err != nil {
				return err
			}
			return p.withSite(ctx, loaded, func(s *site) error {
				var end *time.Time
				if life := c.Duration("life"); life > 0 {
					at := time.Now().Add(life)
					end = &at
				}
				_, code, err := s.auth.Invite(ctx, int64(c.Int("uses")), end)
				if err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "code      %s\n", code)
				return nil
			})
		})},
		&cli.Command{Name: "role", Usage: "change an account's role", ArgsUsage: "USERNAME ROLE",
			Action: func(ctx context.Context, c *cli.Command) error {
				if c.Args().Len() != 2 {
					return usagef("user role needs USERNAME and ROLE, one of %s", roleNames())
				}
				loaded, err := p.load(c)
				if err != nil {
					return err
				}
				return p.withSite(ctx, loaded, func(s *site) error {
					return wrongValue(s.accounts.SetRole(ctx, c.Args().Get(0), account.Role(c.Args().Get(1))))
				})
			}},
	)
}

// wrongValue makes a value that no account may have the caller's fault; what speaks against a right one stays a failure.
func wrongValue(err error) error {
	for _, wrong := range []error{account.ErrUsername, account.ErrWeakPassword, account.ErrRole} {
		if errors.Is(err, wrong) {
			return usageError{err}
		}
	}
	return err
}

func roleNames() string {
	var names []string
	for _, r := range account.Roles() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// siteAction is an action on the site with exactly one argument.
func (p *program) siteAction(argument string, run func(ctx context.Context, c *cli.Command, s *site, arg string) error) cli.ActionFunc {
	return func(ctx context.Context, c *cli.Command) error {
		if c.Args().Len() != 1 {
			return usagef("%s needs one argument: %s", c.FullName(), argument)
		}
		loaded, err := p.load(c)
		if err != nil {
			return err
		}
		return p.withSite(ctx, loaded, func(s *site) error { return run(ctx, c, s, c.Args().First()) })
	}
}
