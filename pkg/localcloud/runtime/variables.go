package runtime

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// variables are environment variables by name.
type variables map[string]string

func parseVariables(environ []string) variables {
	v := variables{}
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok && name != "" {
			v[name] = value
		}
	}
	return v
}

func (v variables) list() []string {
	list := make([]string, 0, len(v))
	for _, name := range slices.Sorted(maps.Keys(v)) {
		list = append(list, name+"="+v[name])
	}
	return list
}

// lookPath finds a program on the PATH among the variables, "" if there is none.
func (v variables) lookPath(name string) string {
	if strings.Contains(name, "/") {
		if path, err := filepath.Abs(name); err == nil && executable(path) {
			return path
		}
		return ""
	}
	for _, dir := range filepath.SplitList(v["PATH"]) {
		if path := filepath.Join(dir, name); filepath.IsAbs(path) && executable(path) {
			return path
		}
	}
	return ""
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// passed are the host's variables that a model's program needs to run as its
// user would run it. Anything else, credentials above all, stays with the host.
var passed = []string{
	"HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH",
	"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
	"NUMEXPR_MAX_THREADS", "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS", "LOKY_MAX_CPU_COUNT",
	"CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES",
}

// forPrograms is what of the host's variables programs get; PATH comes extra.
func (v variables) forPrograms() variables {
	some := variables{}
	for name, value := range v {
		if slices.Contains(passed, name) || strings.HasPrefix(name, "LC_") {
			some[name] = value
		}
	}
	return some
}

// forTools is what Python and uv get when they are asked where a Python is.
func (v variables) forTools() variables {
	some := v.forPrograms()
	for name, value := range v {
		if name == "PATH" || strings.HasPrefix(name, "PYENV_") || strings.HasPrefix(name, "XDG_") || name == "UV_PYTHON_INSTALL_DIR" {
			some[name] = value
		}
	}
	some["UV_PYTHON_DOWNLOADS"] = "never"
	return some
}

// join joins lists of folders, each folder once, at its first place.
func join(lists ...[]string) string {
	var all []string
	for _, dir := range slices.Concat(lists...) {
		if dir != "" && !slices.Contains(all, dir) {
			all = append(all, dir)
		}
	}
	return strings.Join(all, string(filepath.ListSeparator))
}
