// Package examples holds model repositories that work. Each is used by a test,
// and one of them is what `towline init` writes.
//
// In comes nothing; out goes a file system. It never runs anything.
package examples

import (
	"embed"
	"io/fs"
)

//go:embed breast-cancer/*.py breast-cancer/*.yaml breast-cancer/*.json breast-cancer/*.toml
//go:embed breast-cancer/*.md breast-cancer/requirements.* breast-cancer/.gitignore breast-cancer/.gitlab-ci.yml
//go:embed breast-cancer/data/train/*.csv breast-cancer/data/test/*.csv breast-cancer/tests/*.py
var files embed.FS

// Classifier is a complete repository with a scikit-learn classifier.
func Classifier() fs.FS {
	sub, err := fs.Sub(files, "breast-cancer")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return sub
}
