package bundle

import (
	"path"
	"path/filepath"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

// installation is one set of requirements for one platform and Python.
type installation struct {
	name        string // the requirements file as the user knows it
	file        string // on disk
	content     string // hash of what it says, and of the files it names
	platform    string // os/arch
	wheels      string // uv's name of the platform; "" is the host's
	python      string // minor version
	project     bool   // what is named is a project or its lock
	locked      bool   // a project with a lock
	alone       bool   // the image's PYTHONPATH is not Towline's: scripts find their libraries by themselves
	folder      string // where the installer runs; "" is that of the file
	interpreter string // a Python of that version on this host, which compiles; "" if there is none
}

// installation reads what is to be installed; nil means nothing.
func (b *Bundler) installation(a plan.Package) (*installation, error) {
	if a.Requirements == "" {
		return nil, nil
	}
	job := &installation{name: path.Join(path.Clean(a.Path), a.Requirements), platform: a.Platform, python: a.Python}
	_, job.alone = a.Environment["PYTHONPATH"]
	job.file = filepath.Join(a.Root, filepath.FromSlash(job.name))
	base := path.Base(job.name)
	if export := foreignLocks[base]; export != "" {
		return nil, fault.Newf(fault.Repository, "read %s: wanted a requirements file, pyproject.toml or uv.lock", job.name).
			Hintf("write a requirements file with %s, and name that under image.requirements", export)
	}
	job.project = base == projectFile || base == lockFile
	err := job.read()
	if err != nil || job.content == "" {
		return nil, err
	}
	if job.wheels, err = wheelPlatform(a.Base, a.Platform, b.o.Host); err != nil {
		return nil, err
	}
	job.interpreter = lookInterpreter(b.o.Environ, "python"+a.Python)
	return job, nil
}

// read learns what decides the installation; nothing is to be installed if
// content stays empty.
func (j *installation) read() error {
	if j.project {
		return j.readProject()
	}
	requirements, err := readRequirements(j.file, j.name)
	switch {
	case err != nil:
		return err
	case requirements.editable != "":
		return editableFault(j.name, requirements.editable)
	case requirements.count > 0:
		j.content = requirements.hash
	}
	return nil
}

// wheelPlatform is uv's name of the platform, or "" where the image will run
// on this very host. The floor for Linux is glibc 2.28, which Debian 10,
// Ubuntu 20.04 and RHEL 8 have.
func wheelPlatform(base, platform, host string) (string, error) {
	if base == Scratch && platform == host {
		return "", nil
	}
	system, arch, _ := strings.Cut(platform, "/")
	arch, _, _ = strings.Cut(arch, "/")
	switch system + "/" + arch {
	case "linux/amd64":
		return "x86_64-manylinux_2_28", nil
	case "linux/arm64":
		return "aarch64-manylinux_2_28", nil
	}
	return "", fault.Newf(fault.Repository, "install for platform %s: wanted linux/amd64 or linux/arm64", platform).
		Hintf("correct image.platforms in towline.yaml")
}
