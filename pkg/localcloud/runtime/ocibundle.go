package runtime

import (
	"encoding/json"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/fault"
)

// ociBundle is the folder that an OCI runtime runs: config.json, and a root
// folder of mount points. The image's files are shared by many containers and
// must not change, so each of its folders is the lower part of an overlay whose
// upper part is memory. All mounts are made in the container's own namespace:
// none is left on the host, whatever becomes of the container.
// https://github.com/opencontainers/runtime-spec/blob/main/config.md
type ociBundle struct {
	dir      string
	tree     string // files of the image
	optML    string
	config   v1.Config
	spec     Spec
	uid, gid int // of this process; root in the container
}

// upper is where the container's root keeps what is written: a folder of memory.
const upper = "/.upper"

type ociConfig struct {
	Version  string     `json:"ociVersion"`
	Process  ociProcess `json:"process"`
	Root     ociRoot    `json:"root"`
	Hostname string     `json:"hostname"`
	Mounts   []ociMount `json:"mounts"`
	Linux    ociLinux   `json:"linux"`
}

type ociProcess struct {
	User            map[string]int      `json:"user"`
	Args            []string            `json:"args"`
	Env             []string            `json:"env"`
	Cwd             string              `json:"cwd"`
	Capabilities    map[string][]string `json:"capabilities"`
	NoNewPrivileges bool                `json:"noNewPrivileges"`
}

type ociRoot struct {
	Path string `json:"path"`
}

type ociMount struct {
	Destination string   `json:"destination"`
	Type        string   `json:"type"`
	Source      string   `json:"source"`
	Options     []string `json:"options,omitempty"`
}

type ociLinux struct {
	Namespaces    []ociNamespace `json:"namespaces"`
	UIDMappings   []ociMapping   `json:"uidMappings,omitempty"`
	GIDMappings   []ociMapping   `json:"gidMappings,omitempty"`
	MaskedPaths   []string       `json:"maskedPaths"`
	ReadonlyPaths []string       `json:"readonlyPaths"`
}

type ociNamespace struct {
	Type string `json:"type"`
}

type ociMapping struct {
	Container int `json:"containerID"`
	Host      int `json:"hostID"`
	Size      int `json:"size"`
}

// capabilities are those that Docker gives a container.
var capabilities = []string{
	"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
	"CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

// write writes the bundle. The program runs as root, as SageMaker expects,
// whatever user the image names: what it writes to /opt/ml is this user's.
func (b ociBundle) write() error {
	mounts, err := b.files()
	if err != nil {
		return err
	}
	config := ociConfig{
		Version: "1.0.2",
		Process: ociProcess{
			User: map[string]int{"uid": 0, "gid": 0}, Args: b.line(), Env: b.environ().list(),
			Cwd: path.Join("/", b.config.WorkingDir), NoNewPrivileges: true,
			Capabilities: map[string][]string{"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
		},
		Root:     ociRoot{Path: "root"},
		Hostname: "algo-1",
		Mounts:   slices.Concat(mounts, b.system(), b.contract()),
		Linux: ociLinux{
			// No network namespace: a server's port must be reached on loopback.
			Namespaces:    []ociNamespace{{"pid"}, {"ipc"}, {"uts"}, {"mount"}},
			MaskedPaths:   []string{"/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	if b.rootless() {
		config.Linux.Namespaces = append(config.Linux.Namespaces, ociNamespace{"user"})
		config.Linux.UIDMappings = []ociMapping{{0, b.uid, 1}}
		config.Linux.GIDMappings = []ociMapping{{0, b.gid, 1}}
	}
	text, err := json.Marshal(config)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.dir, "config.json"), text, 0o600)
}

func (b ociBundle) rootless() bool { return b.uid != 0 }

// line is the container's command line, as Docker makes it.
func (b ociBundle) line() []string {
	line := append(append([]string{}, b.config.Entrypoint...), b.spec.Args...)
	if len(b.spec.Args) == 0 {
		line = append(line, b.config.Cmd...)
	}
	return line
}

// environ is what the container sees: the image's variables, over them the service's.
func (b ociBundle) environ() variables {
	env := variables{"PATH": defaultPath, "HOME": "/root", "HOSTNAME": "algo-1"}
	for name, value := range parseVariables(b.config.Env) {
		env[name] = value
	}
	for name, value := range b.spec.Env {
		env[name] = value
	}
	return env
}

// system are the folders that the container has of its own.
func (b ociBundle) system() []ociMount {
	pts := []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}
	sys := ociMount{"/sys", "sysfs", "sysfs", []string{"nosuid", "noexec", "nodev", "ro"}}
	if b.rootless() { // who does not own the network may not mount its sysfs
		sys = ociMount{"/sys", "bind", "/sys", []string{"rbind", "nosuid", "noexec", "nodev", "ro"}}
	} else {
		pts = append(pts, "gid=5")
	}
	memory := []string{"nosuid", "nodev", "mode=1777"}
	return []ociMount{
		{"/proc", "proc", "proc", nil},
		{"/dev", "tmpfs", "tmpfs", []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{"/dev/pts", "devpts", "devpts", pts},
		{"/dev/shm", "tmpfs", "shm", append([]string{"noexec"}, memory...)},
		{"/dev/mqueue", "mqueue", "mqueue", []string{"nosuid", "noexec", "nodev"}},
		sys,
		{"/tmp", "tmpfs", "tmpfs", memory},
		{"/run", "tmpfs", "tmpfs", []string{"nosuid", "nodev", "mode=755"}},
	}
}

// contract is /opt/ml, and what names are resolved with.
func (b ociBundle) contract() []ociMount {
	mounts := []ociMount{{"/opt/ml", "bind", b.optML, []string{"rbind", "rw"}}}
	for _, file := range []string{"/etc/resolv.conf", "/etc/hosts"} {
		if real, err := filepath.EvalSymlinks(file); err == nil {
			mounts = append(mounts, ociMount{file, "bind", real, []string{"bind", "ro"}})
		}
	}
	return mounts
}

// files makes the container's root: the image's folders as overlays, its links
// as they are. Folders that the container has of its own are left out.
func (b ociBundle) files() ([]ociMount, error) {
	if strings.ContainsAny(b.tree+b.dir, `,:\`) {
		return nil, fault.Newf(fault.Usage, "the path of the cache, %s, holds a comma, a colon or a backslash, which no overlay can name", b.tree).
			Hintf("set TOWLINE_CACHE to another folder")
	}
	root := filepath.Join(b.dir, "root")
	if err := os.MkdirAll(filepath.Join(root, upper), 0o755); err != nil {
		return nil, err
	}
	mounts := []ociMount{{upper, "tmpfs", "tmpfs", []string{"tmpcopyup", "mode=755"}}}
	for _, entry := range list(b.tree) {
		name := entry.Name()
		from := filepath.Join(b.tree, name)
		var err error
		switch {
		case slices.Contains([]string{"proc", "dev", "sys", "tmp", "run", path.Base(upper)}, name):
		case entry.Type()&os.ModeSymlink != 0:
			err = copyLink(from, filepath.Join(root, name))
		case entry.IsDir():
			up := filepath.Join(root, upper, name)
			mounts = append(mounts, ociMount{"/" + name, "overlay", "overlay", []string{"lowerdir=" + from, "upperdir=" + up + "/upper", "workdir=" + up + "/work"}})
			err = errors.Join(os.Mkdir(filepath.Join(root, name), 0o755), os.MkdirAll(up+"/upper", 0o755), os.Mkdir(up+"/work", 0o755))
		default:
			mounts = append(mounts, ociMount{"/" + name, "bind", from, []string{"bind", "ro"}})
		}
		if err != nil {
			return nil, err
		}
	}
	return mounts, nil
}

func copyLink(from, to string) error {
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	return os.Symlink(target, to)
}
