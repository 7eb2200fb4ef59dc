// Command towline tows a model from its repository to production.
package main

import (
	"os"

	"gitlab.com/towline/towline/pkg/cli"
)

// version is set by the linker; a build without it calls itself "dev".
var version = "dev"

func main() {
	os.Exit(cli.Main(cli.Process{
		Args:    os.Args[1:],
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Environ: os.Environ(),
		Version: version,
	}))
}
