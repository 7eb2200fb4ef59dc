package runtime

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/fault"
)

// program is what an image runs, found in its root tree.
type program struct {
	path        string   // in the image, absolute and clean
	args        []string // after the program
	interpreter []string // that its first line asks for; nil for a binary
}

const (
	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

	// pythonLabel of an image is the minor version of Python it was made for.
	pythonLabel = "org.towline.python"
)

var pythonName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^python(3(?:\.[0-9]+)?)?$`) })

// findProgram finds what `docker run IMAGE args…` would run.
func findProgram(tree string, config v1.Config, args []string) (program, error) {
	line := append(append([]string{}, config.Entrypoint...), args...)
	if len(args) == 0 {
		line = append(line, config.Cmd...)
	}
	if len(line) == 0 {
		return program{}, fault.Newf(fault.Missing, "no program was named, and the image has none of its own")
	}
	root, err := os.OpenRoot(tree)
	if err != nil {
		return program{}, fault.Newf(fault.Missing, "open the image's files: %w", err)
	}
	defer func() { _ = root.Close() }()
	for _, candidate := range places(config, line[0]) {
		info, err := root.Stat(strings.TrimPrefix(candidate, "/"))
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			continue
		}
		shebang, err := readShebang(root, strings.TrimPrefix(candidate, "/"))
		if err != nil {
			return program{}, fault.Newf(fault.Missing, "read %s of the image: %w", candidate, err)
		}
		return program{path: candidate, args: line[1:], interpreter: shebang}, nil
	}
	if pythonName().MatchString(path.Base(line[0])) { // an image without a Python of its own
		return program{args: line[1:], interpreter: []string{line[0]}}, nil
	}
	return program{}, fault.Newf(fault.Missing, "the image has no program %s", line[0]).
		Hintf("package the model again; its image must have an executable %s on its PATH", line[0])
}

// places are the absolute paths where a name is looked for in the image.
func places(config v1.Config, name string) []string {
	if path.IsAbs(name) {
		return []string{path.Clean(name)}
	}
	if strings.Contains(name, "/") {
		return []string{path.Join("/", config.WorkingDir, name)}
	}
	search := defaultPath
	if given, ok := parseVariables(config.Env)["PATH"]; ok {
		search = given
	}
	var all []string
	for _, dir := range strings.Split(search, ":") {
		if path.IsAbs(dir) {
			all = append(all, path.Join(dir, name))
		}
	}
	return all
}

// readShebang gives the words of a script's first line, nil if it has none.
// The env program and its -S are taken for what they stand for.
func readShebang(root *os.Root, name string) ([]string, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	const longest = 512 // Linux reads 256
	line, err := bufio.NewReader(io.LimitReader(f, longest)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	rest, ok := strings.CutPrefix(line, "#!")
	if !ok {
		return nil, nil
	}
	words := strings.Fields(rest)
	if len(words) > 1 && path.Base(words[0]) == "env" {
		words = words[1:]
		if words[0] == "-S" {
			words = words[1:]
		}
	}
	if len(words) == 0 {
		return nil, errors.New("its first line names no interpreter")
	}
	return words, nil
}

// interpreter is how a script is begun on this host; empty for a binary.
type interpreter struct {
	words []string // before the script
	bin   string   // folder of a Python's programs, to be on the PATH
	needs []string // folders that it must be able to read
}

func (p *Process) interpreter(ctx context.Context, prog program, config v1.Config) (interpreter, error) {
	if prog.interpreter == nil {
		return interpreter{}, nil
	}
	name, rest := prog.interpreter[0], prog.interpreter[1:]
	match := pythonName().FindStringSubmatch(path.Base(name))
	if match == nil {
		return p.other(prog)
	}
	version := match[1]
	if !strings.Contains(version, ".") {
		version = "3"
		if recorded := config.Labels[pythonLabel]; recorded != "" {
			version = recorded
		}
	}
	found, err := p.pythons.find(ctx, version)
	if err != nil {
		return interpreter{}, err
	}
	return interpreter{append([]string{found.exe}, rest...), found.bin, found.needs}, nil
}

// other finds an interpreter that is no Python, a shell for the most part.
func (p *Process) other(prog program) (interpreter, error) {
	name := prog.interpreter[0]
	found := p.host.lookPath(name)
	if found == "" {
		found = p.host.lookPath(path.Base(name))
	}
	if found == "" {
		return interpreter{}, fault.Newf(fault.Missing, "no program %s on this machine, which the image's %s needs", name, prog.path)
	}
	return interpreter{words: append([]string{found}, prog.interpreter[1:]...), needs: []string{filepath.Dir(found)}}, nil
}
