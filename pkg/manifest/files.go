package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// Named is a file or folder that the manifest names.
type Named struct {
	Key  string // within the model, such as image.requirements
	Path string // from the top of the repository, slash-separated
	Dir  bool
}

// Files lists what must exist for the model to be built, in the order of the manifest.
func Files(m Model) []Named {
	list := []Named{{"path", path.Clean(m.Path), true}}
	for i, shared := range m.Shared {
		list = append(list, Named{fmt.Sprintf("shared[%d]", i), path.Clean(shared), true})
	}
	if m.Image.Requirements != "" {
		list = append(list, Named{"image.requirements", path.Join(m.Path, m.Image.Requirements), false})
	}
	for i, folder := range m.Image.Programs {
		list = append(list, Named{fmt.Sprintf("image.programs[%d]", i), path.Join(m.Path, folder), true})
	}
	list = append(list, scripts("train.command", m.Path, m.Train.Command)...)
	for _, name := range slices.Sorted(maps.Keys(m.Train.Channels)) {
		if source := m.Train.Channels[name]; IsFolder(source) {
			list = append(list, Named{"train.channels." + quoted(name), path.Join(m.Path, source), true})
		}
	}
	if m.Evaluate != nil {
		list = append(list, scripts("evaluate.command", m.Path, m.Evaluate.Command)...)
	}
	if m.Serve == nil {
		return list
	}
	list = append(list, scripts("serve.command", m.Path, m.Serve.Command)...)
	if m.Serve.Sample != nil {
		list = append(list, Named{"serve.sample.file", path.Join(m.Path, m.Serve.Sample.File), false})
	}
	return list
}

// scripts are the words of a command that name a Python file of the model.
func scripts(key, folder string, command []string) []Named {
	var list []Named
	for i, word := range command {
		if strings.HasSuffix(word, ".py") && !strings.HasPrefix(word, "-") && !path.IsAbs(word) {
			list = append(list, Named{fmt.Sprintf("%s[%d]", key, i), path.Join(folder, word), false})
		}
	}
	return list
}

// Check looks for the files and folders that the manifest names. Its error has
// the form of Load's.
func Check(m Manifest, repo fs.FS) error {
	var problems []Problem
	for i, model := range m.Models {
		for _, named := range Files(model) {
			if message := missing(repo, named); message != "" {
				key := fmt.Sprintf("models[%d].%s", i, named.Key)
				problems = append(problems, Problem{m.where[key], key + ": " + message})
			}
		}
	}
	if len(problems) > 0 {
		return faulty(problems)
	}
	return nil
}

// missing says what is wrong with a file or folder, or "".
func missing(repo fs.FS, named Named) string {
	kind := "file"
	if named.Dir {
		kind = "folder"
	}
	if !fs.ValidPath(named.Path) {
		return fmt.Sprintf("%s leaves the repository", quoted(named.Path))
	}
	info, err := fs.Stat(repo, named.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("no %s %s", kind, quoted(named.Path))
	case err != nil:
		return fmt.Sprintf("%s cannot be looked at: %v", quoted(named.Path), reason(err))
	case info.IsDir() != named.Dir:
		return fmt.Sprintf("%s is not a %s", quoted(named.Path), kind)
	}
	if !named.Dir {
		return ""
	}
	if entries, err := fs.ReadDir(repo, named.Path); err == nil && len(entries) == 0 {
		return fmt.Sprintf("the folder %s is empty", quoted(named.Path))
	}
	return ""
}

// reason is an error of a file system without the path, which is the host's.
func reason(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
