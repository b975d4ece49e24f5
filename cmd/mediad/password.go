package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v3"
	"golang.org/x/term"
)

// maxPasswordLine is above any password: 128 characters of up to four bytes.
const maxPasswordLine = 1 << 10

func passwordFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "password-stdin", Usage: "ask for the password, unseen; where standard input is no terminal, its first line is it"},
		&cli.StringFlag{Name: "password", Usage: "`PASSWORD`, which lists of processes and the shell's history show; without both a one-time password is made and printed"},
	}
}

// password is what the flags ask for; "": none, so that one is made.
func (p *program) password(ctx context.Context, c *cli.Command) (string, error) {
	switch {
	case c.Bool("password-stdin") && c.IsSet("password"):
		return "", usagef("%s: either --password or --password-stdin", c.FullName())
	case !c.Bool("password-stdin"):
		return c.String("password"), nil
	}
	if f, ok := p.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		first, err := p.unseen(ctx, f, "Password: ")
		if err != nil {
			return "", err
		}
		again, err := p.unseen(ctx, f, "The same again: ")
		if err == nil && again != first {
			err = errors.New("the two passwords are not the same")
		}
		return first, err
	}
	line, err := bufio.NewReader(io.LimitReader(p.stdin, maxPasswordLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("password: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", usagef("%s: --password-stdin: the first line of standard input is empty", c.FullName())
	}
	return line, nil
}

// unseen asks a question on the terminal whose answer it does not show.
func (p *program) unseen(ctx context.Context, terminal *os.File, question string) (string, error) {
	fd := int(terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	type answer struct {
		text []byte
		err  error
	}
	fmt.Fprint(p.stderr, question)
	got := make(chan answer, 1) // nobody may wait for it any more: the read ends with the process
	go func() {
		text, err := term.ReadPassword(fd)
		got <- answer{text, err}
	}()
	select {
	case a := <-got:
		fmt.Fprintln(p.stderr)
		switch {
		case a.err != nil:
			return "", fmt.Errorf("password: %w", a.err)
		case len(a.text) == 0:
			return "", errors.New("password: nothing was typed")
		}
		return string(a.text), nil
	case <-ctx.Done(): // the interrupt is ours, so the terminal has to be as it was
		fmt.Fprintln(p.stderr)
		return "", errors.Join(ctx.Err(), term.Restore(fd, before))
	}
}
