package main

import (
	"bytes"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"gitlab.com/towline/towline/pkg/cli"
)

// cliPage is the reference of every command, from the command tree.
func cliPage() ([]byte, error) {
	root := cli.Root()
	root.InitDefaultCompletionCmd()
	var b bytes.Buffer
	b.WriteString("# Commands\n\n" + generated + "The options of `towline` itself go with every command. Exit codes have [a page of their own](exit-codes.md).\n")
	if err := command(&b, root); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// command writes the section of a command, and those of the commands below it.
func command(b *bytes.Buffer, cmd *cobra.Command) error {
	if !cmd.IsAvailableCommand() && cmd.HasParent() {
		return nil
	}
	cmd.DisableAutoGenTag = true
	b.WriteString("\n")
	var section bytes.Buffer
	if err := doc.GenMarkdownCustom(cmd, &section, func(file string) string { return file }); err != nil {
		return err
	}
	text, _, _ := strings.Cut(section.String(), "### SEE ALSO")
	text, _, _ = strings.Cut(text, "### Options inherited")
	b.WriteString(strings.TrimRight(text, "\n") + "\n")
	for _, below := range cmd.Commands() {
		if err := command(b, below); err != nil {
			return err
		}
	}
	return nil
}
