package bundle

import (
	"os"
	"path"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
	pip "gitlab.com/towline/towline/pkg/requirements"
)

// editableFault refuses what an installer would only point to: a folder of this
// machine, which no image has.
func editableFault(name, folder string) error {
	return fault.Newf(fault.Repository, "install %s: %s is to be editable, in a folder of this machine, which the image does not have", name, folder).
		Hintf("remove it from the dependencies: the model's folder and its shared folders are on the image's PYTHONPATH")
}

// refuseEditable looks for folders in what a lock was turned into.
func refuseEditable(name, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return diskFault("read "+name, err)
	}
	for _, line := range pip.Lines(text) {
		if line.Option == "-e" || line.Option == "--editable" {
			return editableFault(name, line.Value)
		}
	}
	return nil
}

// refuseEditable looks for distributions that only point to a folder of this
// machine, as a project without a lock can ask for.
func (s *stage) refuseEditable(job *installation) error {
	for _, file := range s.files {
		if path.Dir(file.path) != "." || path.Ext(file.path) != ".pth" {
			continue
		}
		text, err := os.ReadFile(file.onDisk)
		if err != nil {
			return diskFault("read "+file.path, err)
		}
		if strings.HasPrefix(file.path, "__editable__") || strings.HasPrefix(string(text), "/") {
			dist, _, _ := strings.Cut(file.dist, " ")
			return editableFault(job.name, dist)
		}
	}
	return nil
}
