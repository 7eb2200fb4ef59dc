package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/cli"
)

// What a command prints as JSON is one document, and nothing else.
func TestJSONIsOneDocument(t *testing.T) {
	repo := copyTiny(t)
	t.Cleanup(func() { stopClouds(repo) })
	for _, line := range []string{
		"--version", "version", "lint", "package --dry-run", "run --dry-run", "image run train --dry-run",
		"local up --dry-run", "local up --detach", "run", "status", "invoke", "gate", "deploy", "verify",
		"local down --dry-run", "local down", "local down",
	} {
		out := runTowline(t, repo, append(strings.Fields(line), "--output", "json")...)
		if !json.Valid(out) {
			t.Errorf("towline %s --output json prints %q", line, out)
		}
	}
}

// Whoever asks for help is shown how a command is used.
func TestEveryCommandHasExamples(t *testing.T) {
	count := 0
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		count++
		if !strings.Contains(cmd.Example, "towline") {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		for _, below := range cmd.Commands() {
			if below.IsAvailableCommand() {
				walk(below)
			}
		}
	}
	walk(cli.Root())
	if count < 30 {
		t.Errorf("found %d commands, want all", count)
	}
}
