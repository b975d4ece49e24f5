package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"mediad/internal/testx"
)

// terminal is a pseudo-terminal: what a program sees, and where a person types and reads.
func terminal(t *testing.T) (program, person *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("there are no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { _ = person.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = program.Close() })
	return program, person
}

// TestAPasswordIsTypedUnseen: twice, and the terminal shows nothing of it.
func TestAPasswordIsTypedUnseen(t *testing.T) {
	dir := t.TempDir()
	s, err := openTestSite([]string{"MEDIAD_DATA_DIR=" + dir})
	require.NoError(t, err)
	defer s.close()
	create := func(name string, typed ...string) (said, shown string, code int) {
		t.Helper()
		mine, person := terminal(t)
		var screen, out testx.Buffer
		go func() { // ends with the terminal
			b := make([]byte, 1<<10)
			for {
				n, err := person.Read(b)
				_, _ = screen.Write(b[:n])
				if err != nil {
					return
				}
			}
		}()
		done := make(chan int)
		go func() {
			m := &program{environ: []string{"MEDIAD_DATA_DIR=" + dir}, stdin: mine, stdout: &out, stderr: &out}
			done <- m.run(t.Context(), []string{"mediad", "user", "create", name, "--password-stdin"})
		}()
		for i, text := range typed {
			testx.WaitFor(t, "a question, and the terminal to show nothing", func() bool {
				state, err := unix.IoctlGetTermios(int(mine.Fd()), unix.TCGETS)
				return err == nil && state.Lflag&unix.ECHO == 0 && strings.Count(out.String(), ": ") == i+1
			})
			_, err := person.WriteString(text + "\n")
			require.NoError(t, err)
		}
		code = <-done
		state, err := unix.IoctlGetTermios(int(mine.Fd()), unix.TCGETS)
		require.NoError(t, err)
		require.NotZero(t, state.Lflag&unix.ECHO, "it shows again what is typed")
		return out.String(), screen.String(), code
	}
	const good = "correct horse battery"
	said, shown, code := create("anna", good, good)
	require.Zero(t, code, said)
	require.Contains(t, said, "user      anna")
	require.NotContains(t, said+shown, "horse")
	require.NotContains(t, said, "password  ", "no one-time password is made")
	u, err := s.accounts.FindLogin(t.Context(), "anna")
	require.NoError(t, err)
	match, err := s.accounts.Matches(t.Context(), u, good)
	require.NoError(t, err)
	require.True(t, match)

	said, _, code = create("bert", good, "staple of the battery")
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "not the same")
	said, _, code = create("bert", "")
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "nothing was typed")
	_, err = s.accounts.FindLogin(t.Context(), "bert")
	require.Error(t, err)
}
