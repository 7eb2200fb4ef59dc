package doctor

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
)

// Machine is what was found on this machine.
type Machine struct {
	Local   bool // models run here: the target is the local cloud
	Git     Program
	UV      Program
	Pythons []Python
	Linters []Linter
	Sandbox Sandbox
	Disks   []Disk
	Proxies []Variable
	NoProxy string
	Clocks  []Clock
}

// Program is a program that was looked for.
type Program struct {
	Answer
	Version string
}

// Python is an interpreter of the version that models want.
type Python struct {
	Answer
	Version string   // minor version: 3.11
	Path    string   // of the program
	Models  []string // that want it
}

// Linter is a linter that others wrote.
type Linter struct {
	Program
	Name   string
	Absent string // why it cannot be run; "" if it can
	Wish   string // of the manifest: auto, required or off
}

// Sandbox is what keeps the code of models apart in the local cloud.
type Sandbox struct {
	Answer
	Wish string // auto, bwrap or none
}

// Disk is a place that files are written to.
type Disk struct {
	Answer
	For  string // what for: cache, repository
	Path string
	Free uint64 // bytes
}

// Variable is one of the environment that holds an address. What stands
// before its @ is a secret, and told by nobody.
type Variable struct{ Name, Value string }

// Clock is the time that a service told, beside ours.
type Clock struct {
	Of    string        // GitLab, AWS
	Ahead time.Duration // of this machine's
}

func (m Machine) checks() []Check {
	all := []Check{m.Git.git(), m.UV.uv()}
	for _, python := range m.Pythons {
		all = append(all, python.check(m.Local))
	}
	for _, linter := range m.Linters {
		all = append(all, linter.check())
	}
	all = append(all, m.sandbox())
	for _, disk := range m.Disks {
		all = append(all, disk.check())
	}
	return append(all, m.proxy(), clock(m.Clocks))
}

// oldestGit is the oldest git that versions are read with.
const oldestGit = "2.30"

func (p Program) git() Check {
	c := p.check("git", p.Version)
	if c.State == OK && older(p.Version, oldestGit) {
		return Check{Name: "git", State: Failed, Found: p.Version, Setting: "install git " + oldestGit + " or newer", Code: fault.Missing}
	}
	return c
}

func (p Program) uv() Check {
	c := p.check("uv", p.Version)
	if c.State == Failed && c.Code != fault.Missing {
		return c
	}
	if p.Kind == fault.Missing && p.Hint == "" {
		c.Setting = "install uv and put it on the PATH, or name it by TOWLINE_UV: without it pip installs, and towline test and uv.lock do not work"
		return c.as(Warning)
	}
	return c
}

func (p Python) check(local bool) Check {
	c := p.Answer.check("python "+p.Version, p.Path)
	c.Found += " (" + strings.Join(p.Models, ", ") + ")"
	if p.Kind != fault.Missing {
		return c
	}
	if local {
		c.Setting = "install Python " + p.Version + ", name one by TOWLINE_PYTHON, or set image.python in towline.yaml"
		return c
	}
	c.Setting = "install Python " + p.Version + " where towline test runs: training in AWS does not need it here"
	return c.as(Warning)
}

func (l Linter) check() Check {
	switch {
	case l.Wish == "off":
		return Check{Name: l.Name, State: NotChecked, Found: "lint.tools." + l.Name + " is off in towline.yaml"}
	case l.Absent == "":
		return l.Program.check(l.Name, l.Version)
	}
	c := Check{Name: l.Name, State: Warning, Found: l.Absent, Setting: "uv tool install " + l.Name + ": without it towline lint leaves its rules out"}
	if l.Wish == "required" {
		c.State, c.Code = Failed, fault.Missing
		c.Setting = "uv tool install " + l.Name + ": towline.yaml requires it"
	}
	return c
}

func (m Machine) sandbox() Check {
	s := m.Sandbox
	switch {
	case !m.Local:
		return Check{Name: "bubblewrap", State: NotChecked, Found: "only the target local runs models on this machine"}
	case s.Wish == "none":
		return Check{Name: "bubblewrap", State: OK, Found: "not used: TOWLINE_SANDBOX is none"}
	}
	c := s.check("bubblewrap", "it works: a model's code sees the paths of its image only")
	if s.Wish != "bwrap" {
		c = c.as(Warning)
	}
	return c
}

const (
	leastFree  = 1 << 30 // bytes; an image with its dependencies may not fit
	enoughFree = 5 << 30
)

func (d Disk) check() Check {
	c := d.Answer.check("disk "+d.For, "5 GB or more are free in "+d.Path)
	switch {
	case c.State != OK || d.Free >= enoughFree:
		return c
	case d.Free >= leastFree:
		c.State = Warning
	default:
		c.State, c.Code = Failed, fault.Remote
	}
	c.Found = fmt.Sprintf("%.1f GB are free in %s", float64(d.Free)/(1<<30), d.Path)
	c.Setting = "free some space, or set TOWLINE_CACHE to a folder on a larger disk"
	return c
}

func (m Machine) proxy() Check {
	var told []string
	for _, variable := range m.Proxies {
		shown, ok := withoutLogin(variable.Value)
		if !ok {
			return Check{
				Name: "proxy", State: Failed, Found: variable.Name + " is no address", Code: fault.Missing,
				Setting: "write " + variable.Name + " as http://proxy.example.com:3128",
			}
		}
		told = append(told, variable.Name+"="+shown)
	}
	if len(told) == 0 {
		return Check{Name: "proxy", State: OK, Found: "none is set"}
	}
	c := Check{Name: "proxy", State: OK, Found: strings.Join(append(told, "NO_PROXY="+m.NoProxy), ", ")}
	if m.Local && !strings.Contains(m.NoProxy, "127.0.0.1") && m.NoProxy != "*" {
		c.State, c.Setting = Warning, "add 127.0.0.1,localhost to NO_PROXY: models reach the local cloud there"
	}
	return c
}

// withoutLogin is an address without user, password and query; not ok if it is none.
func withoutLogin(address string) (string, bool) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return "", false
	}
	return u.Scheme + "://" + u.Host, true
}

const (
	skewNoted   = time.Minute     // tokens are judged to the second
	skewRefused = 5 * time.Minute // signatures of AWS hold for so long
)

func clock(told []Clock) Check {
	c := Check{Name: "clock", State: NotChecked, Found: "no service was asked for the time"}
	for _, t := range told {
		if c.State == NotChecked {
			c.State, c.Found = OK, "within a minute of "+t.Of+"'s"
		}
		ahead := t.Ahead.Abs()
		if ahead < skewNoted {
			continue
		}
		c.State, c.Code = Warning, 0
		if ahead >= skewRefused {
			c.State, c.Code = Failed, fault.Denied
		}
		way := "behind"
		if t.Ahead < 0 {
			way = "ahead of"
		}
		c.Found = fmt.Sprintf("%s %s %s's", ahead.Round(time.Second), way, t.Of)
		c.Setting = "set this machine's clock, best by NTP: tokens and signatures hold for minutes"
		return c
	}
	return c
}

// older compares versions by their first two numbers; what is none is older.
func older(version, than string) bool {
	a, ok := numbers(version)
	b, _ := numbers(than)
	return !ok || a[0] < b[0] || a[0] == b[0] && a[1] < b[1]
}

func numbers(version string) (pair [2]int, ok bool) {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return pair, false
	}
	for i := range pair {
		n, err := strconv.Atoi(strings.TrimRightFunc(parts[i], func(r rune) bool { return r < '0' || r > '9' }))
		if err != nil {
			return pair, false
		}
		pair[i] = n
	}
	return pair, true
}
