package cli

import (
	"os"
	"slices"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/manifest"
)

// completeShells gives the command that cobra makes what ours have: examples,
// and an error for a shell that it does not know.
func completeShells(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		cmd.Example = "  source <(towline completion bash)\n  towline completion zsh > \"${fpath[1]}/_towline\"\n" +
			"  towline completion fish | source"
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		for _, shell := range cmd.Commands() {
			shell.Example = "  towline completion " + shell.Name()
		}
	}
}

// completeValues lets a shell complete what the global flags may be.
func (a *app) completeValues(root *cobra.Command) {
	for flag, values := range map[string]func() []string{
		"target": func() []string { return []string{"local", "aws"} },
		"output": func() []string { return []string{"text", "json"} },
		"model":  func() []string { return a.named(namesOfModels) },
		"env":    func() []string { return a.named(namesOfEnvironments) },
	} {
		// It fails for a flag that is not there, or twice: both show in every run.
		_ = root.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return values(), cobra.ShellCompDirectiveNoFileComp
		})
	}
}

// named are names out of the manifest; none if it cannot be read.
func (a *app) named(of func(manifest.Manifest) []string) []string {
	m, err := manifest.Read(os.DirFS(a.dir))
	if err != nil {
		return nil
	}
	return of(m)
}

func namesOfModels(m manifest.Manifest) []string {
	var names []string
	for _, model := range m.Models {
		names = append(names, model.Name)
	}
	return names
}

func namesOfEnvironments(m manifest.Manifest) []string {
	var names []string
	for name := range m.Environments {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
