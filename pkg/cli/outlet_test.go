package cli_test

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"

	"gitlab.com/towline/towline/pkg/cli"
	"gitlab.com/towline/towline/pkg/fault"
)

// full takes nothing in.
type full struct{}

func (full) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "/dev/full", Err: syscall.ENOSPC}
}

func TestLostOutputIsAFailure(t *testing.T) {
	for _, args := range [][]string{{"--version"}, {"--version", "--output", "json"}, {"--help"}, {"lint", "--explain", "TL101"}, {"completion", "bash"}} {
		var said bytes.Buffer
		code := cli.Main(cli.Process{Args: args, Stdin: strings.NewReader(""), Stdout: full{}, Stderr: &said})
		if code != int(fault.Remote) || !strings.Contains(said.String(), "write the output: write /dev/full: no space left on device\ntowline: hint: ") {
			t.Errorf("towline %s: exit %d, said %q", strings.Join(args, " "), code, said.String())
		}
	}
	if code := cli.Main(cli.Process{Args: []string{"nonsense"}, Stdout: full{}, Stderr: &bytes.Buffer{}}); code != int(fault.Usage) {
		t.Errorf("an unknown command exits with %d, want %d", code, fault.Usage)
	}
}
