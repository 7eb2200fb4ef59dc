package doctor_test

import (
	"testing"
	"time"

	"gitlab.com/towline/towline/pkg/doctor"
	"gitlab.com/towline/towline/pkg/fault"
)

func TestMachine(t *testing.T) {
	const (
		noUV    = "install uv and put it on the PATH, or name it by TOWLINE_UV: without it pip installs, and towline test and uv.lock do not work"
		space   = "free some space, or set TOWLINE_CACHE to a folder on a larger disk"
		setTime = "set this machine's clock, best by NTP: tokens and signatures hold for minutes"
	)
	gone := doctor.Answer{Kind: fault.Missing, Said: "no uv on the PATH"}
	python := func(a doctor.Answer) []doctor.Python {
		return []doctor.Python{{Answer: a, Version: "3.11", Path: "/usr/bin/python3.11", Models: []string{"a", "b"}}}
	}
	ruff := func(l doctor.Linter) []doctor.Linter { l.Name = "ruff"; return []doctor.Linter{l} }
	for _, tt := range []struct {
		name    string
		machine doctor.Machine
		want    doctor.Check
	}{
		{"git", doctor.Machine{Git: doctor.Program{Version: "2.39.5"}}, doctor.Check{Name: "git", State: doctor.OK, Found: "2.39.5"}},
		{"a git that is too old", doctor.Machine{Git: doctor.Program{Version: "2.29.2"}},
			doctor.Check{Name: "git", State: doctor.Failed, Found: "2.29.2", Setting: "install git 2.30 or newer", Code: fault.Missing}},
		{"a git with a suffix in its number", doctor.Machine{Git: doctor.Program{Version: "2.30rc1"}}, doctor.Check{Name: "git", State: doctor.Failed,
			Found: "2.30rc1", Setting: "install git 2.30 or newer", Code: fault.Missing}},
		{"a git that tells no version", doctor.Machine{Git: doctor.Program{Version: "unknown"}},
			doctor.Check{Name: "git", State: doctor.Failed, Found: "unknown", Setting: "install git 2.30 or newer", Code: fault.Missing}},
		{"no git", doctor.Machine{Git: doctor.Program{Answer: missing}},
			doctor.Check{Name: "git", State: doctor.Failed, Found: "find it: not there", Setting: "make it", Code: fault.Missing}},
		{"uv", doctor.Machine{UV: doctor.Program{Version: "0.8.1"}}, doctor.Check{Name: "uv", State: doctor.OK, Found: "0.8.1"}},
		{"no uv", doctor.Machine{UV: doctor.Program{Answer: gone}}, doctor.Check{Name: "uv", State: doctor.Warning, Found: "no uv on the PATH", Setting: noUV}},
		{"a TOWLINE_UV that is none", doctor.Machine{UV: doctor.Program{Answer: missing}},
			doctor.Check{Name: "uv", State: doctor.Failed, Found: "find it: not there", Setting: "make it", Code: fault.Missing}},
		{"a uv that breaks down", doctor.Machine{UV: doctor.Program{Answer: remote}},
			doctor.Check{Name: "uv", State: doctor.Failed, Found: "ask it: connection refused", Setting: "try again", Code: fault.Remote}},
		{"Python", doctor.Machine{Pythons: python(doctor.Answer{})}, doctor.Check{Name: "python 3.11", State: doctor.OK, Found: "/usr/bin/python3.11 (a, b)"}},
		{"no Python where models run", doctor.Machine{Local: true, Pythons: python(missing)}, doctor.Check{Name: "python 3.11", State: doctor.Failed,
			Found: "find it: not there (a, b)", Code: fault.Missing, Setting: "install Python 3.11, name one by TOWLINE_PYTHON, or set image.python in towline.yaml"}},
		{"no Python where they do not", doctor.Machine{Pythons: python(missing)}, doctor.Check{Name: "python 3.11", State: doctor.Warning,
			Found: "find it: not there (a, b)", Setting: "install Python 3.11 where towline test runs: training in AWS does not need it here"}},
		{"a Python that hangs", doctor.Machine{Local: true, Pythons: python(late)},
			doctor.Check{Name: "python 3.11", State: doctor.Failed, Found: "no answer within 10s (a, b)", Code: fault.Timeout}},
		{"a linter", doctor.Machine{Linters: ruff(doctor.Linter{Program: doctor.Program{Version: "0.9.1"}, Wish: "auto"})},
			doctor.Check{Name: "ruff", State: doctor.OK, Found: "0.9.1"}},
		{"no linter", doctor.Machine{Linters: ruff(doctor.Linter{Absent: "not on the PATH"})}, doctor.Check{Name: "ruff", State: doctor.Warning,
			Found: "not on the PATH", Setting: "uv tool install ruff: without it towline lint leaves its rules out"}},
		{"no linter that is required", doctor.Machine{Linters: ruff(doctor.Linter{Absent: "not on the PATH", Wish: "required"})}, doctor.Check{Name: "ruff",
			State: doctor.Failed, Found: "not on the PATH", Setting: "uv tool install ruff: towline.yaml requires it", Code: fault.Missing}},
		{"a linter that is off", doctor.Machine{Linters: ruff(doctor.Linter{Absent: "not on the PATH", Wish: "off"})},
			doctor.Check{Name: "ruff", State: doctor.NotChecked, Found: "lint.tools.ruff is off in towline.yaml"}},
		{"a linter that breaks down", doctor.Machine{Linters: ruff(doctor.Linter{Program: doctor.Program{Answer: remote}})},
			doctor.Check{Name: "ruff", State: doctor.Failed, Found: "ask it: connection refused", Setting: "try again", Code: fault.Remote}},
		{"a sandbox", doctor.Machine{Local: true, Sandbox: doctor.Sandbox{Wish: "auto"}},
			doctor.Check{Name: "bubblewrap", State: doctor.OK, Found: "it works: a model's code sees the paths of its image only"}},
		{"no sandbox", doctor.Machine{Local: true, Sandbox: doctor.Sandbox{Answer: missing, Wish: "auto"}},
			doctor.Check{Name: "bubblewrap", State: doctor.Warning, Found: "find it: not there", Setting: "make it"}},
		{"no sandbox that was asked for", doctor.Machine{Local: true, Sandbox: doctor.Sandbox{Answer: missing, Wish: "bwrap"}},
			doctor.Check{Name: "bubblewrap", State: doctor.Failed, Found: "find it: not there", Setting: "make it", Code: fault.Missing}},
		{"a sandbox that nobody wants", doctor.Machine{Local: true, Sandbox: doctor.Sandbox{Wish: "none"}},
			doctor.Check{Name: "bubblewrap", State: doctor.OK, Found: "not used: TOWLINE_SANDBOX is none"}},
		{"a sandbox where no model runs", doctor.Machine{Sandbox: doctor.Sandbox{Answer: missing}},
			doctor.Check{Name: "bubblewrap", State: doctor.NotChecked, Found: "only the target local runs models on this machine"}},
		{"a large disk", doctor.Machine{Disks: []doctor.Disk{{For: "cache", Path: "/c", Free: 5 << 30}}},
			doctor.Check{Name: "disk cache", State: doctor.OK, Found: "5 GB or more are free in /c"}},
		{"a small disk", doctor.Machine{Disks: []doctor.Disk{{For: "cache", Path: "/c", Free: 5<<30 - 1}}},
			doctor.Check{Name: "disk cache", State: doctor.Warning, Found: "5.0 GB are free in /c", Setting: space}},
		{"a disk that is just large enough", doctor.Machine{Disks: []doctor.Disk{{For: "cache", Path: "/c", Free: 1 << 30}}},
			doctor.Check{Name: "disk cache", State: doctor.Warning, Found: "1.0 GB are free in /c", Setting: space}},
		{"a full disk", doctor.Machine{Disks: []doctor.Disk{{For: "cache", Path: "/c", Free: 1<<30 - 1}}},
			doctor.Check{Name: "disk cache", State: doctor.Failed, Found: "1.0 GB are free in /c", Setting: space, Code: fault.Remote}},
		{"a disk that cannot be measured", doctor.Machine{Disks: []doctor.Disk{{Answer: missing, For: "cache", Path: "/c"}}},
			doctor.Check{Name: "disk cache", State: doctor.Failed, Found: "find it: not there", Setting: "make it", Code: fault.Missing}},
		{"no proxy", doctor.Machine{}, doctor.Check{Name: "proxy", State: doctor.OK, Found: "none is set"}},
		{"a proxy with a password", doctor.Machine{Proxies: []doctor.Variable{{Name: "HTTPS_PROXY", Value: "http://me:hush@proxy:3128/?k=hush"}}, NoProxy: ".corp"},
			doctor.Check{Name: "proxy", State: doctor.OK, Found: "HTTPS_PROXY=http://proxy:3128, NO_PROXY=.corp"}},
		{"a proxy without scheme", doctor.Machine{Local: true, Proxies: []doctor.Variable{{Name: "http_proxy", Value: "me:hush@proxy:3128"}}, NoProxy: "localhost,127.0.0.1"},
			doctor.Check{Name: "proxy", State: doctor.OK, Found: "http_proxy=http://proxy:3128, NO_PROXY=localhost,127.0.0.1"}},
		{"a proxy before the local cloud", doctor.Machine{Local: true, Proxies: []doctor.Variable{{Name: "HTTP_PROXY", Value: "http://proxy"}}}, doctor.Check{Name: "proxy",
			State: doctor.Warning, Found: "HTTP_PROXY=http://proxy, NO_PROXY=", Setting: "add 127.0.0.1,localhost to NO_PROXY: models reach the local cloud there"}},
		{"a proxy that is none", doctor.Machine{Proxies: []doctor.Variable{{Name: "HTTP_PROXY", Value: "http://me:hush@[::"}}}, doctor.Check{Name: "proxy",
			State: doctor.Failed, Found: "HTTP_PROXY is no address", Setting: "write HTTP_PROXY as http://proxy.example.com:3128", Code: fault.Missing}},
		{"no clock", doctor.Machine{}, doctor.Check{Name: "clock", State: doctor.NotChecked, Found: "no service was asked for the time"}},
		{"clocks that agree", doctor.Machine{Clocks: []doctor.Clock{{Of: "AWS", Ahead: 59 * time.Second}, {Of: "GitLab", Ahead: -time.Second}}},
			doctor.Check{Name: "clock", State: doctor.OK, Found: "within a minute of AWS's"}},
		{"a clock that is late", doctor.Machine{Clocks: []doctor.Clock{{Of: "GitLab"}, {Of: "AWS", Ahead: 90 * time.Second}}},
			doctor.Check{Name: "clock", State: doctor.Warning, Found: "1m30s behind AWS's", Setting: setTime}},
		{"a clock that is a minute late", doctor.Machine{Clocks: []doctor.Clock{{Of: "AWS", Ahead: time.Minute}}},
			doctor.Check{Name: "clock", State: doctor.Warning, Found: "1m0s behind AWS's", Setting: setTime}},
		{"a clock that is far ahead", doctor.Machine{Clocks: []doctor.Clock{{Of: "AWS", Ahead: -5 * time.Minute}}},
			doctor.Check{Name: "clock", State: doctor.Failed, Found: "5m0s ahead of AWS's", Setting: setTime, Code: fault.Denied}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			same(t, doctor.Facts{Machine: tt.machine}, doctor.GroupMachine, want{Check: tt.want})
		})
	}
}

func TestRepository(t *testing.T) {
	const wholeClone = "set GIT_DEPTH: 0 in the job's variables (or Settings, CI/CD, General pipelines, Git shallow clone: 0)"
	for _, tt := range []struct {
		name string
		repo doctor.Repository
		want doctor.Check
	}{
		{"a manifest", doctor.Repository{Models: []string{"a", "b"}}, doctor.Check{Name: "manifest", State: doctor.OK, Found: "valid: 2 models, a, b"}},
		{"a manifest that was handed over", doctor.Repository{Models: []string{"a"}, From: ".towline/upstream"},
			doctor.Check{Name: "manifest", State: doctor.OK, Found: "valid: 1 model, a, handed over in .towline/upstream"}},
		{"a manifest with mistakes", doctor.Repository{Manifest: doctor.Answer{Kind: fault.Repository, Said: "read towline.yaml", Hint: "correct it"}, Problems: []string{"1:1: a", "2:1: b"}},
			doctor.Check{Name: "manifest", State: doctor.Failed, Found: "read towline.yaml: 1:1: a; 2:1: b", Setting: "correct it", Code: fault.Repository}},
		{"no manifest", doctor.Repository{Manifest: missing},
			doctor.Check{Name: "manifest", State: doctor.Failed, Found: "find it: not there", Setting: "make it", Code: fault.Missing}},
		{"no manifest yet", doctor.Repository{Manifest: missing, Waiting: true}, doctor.Check{Name: "manifest", State: doctor.NotChecked,
			Found: "another project hands it over: towline fetch, and then towline doctor --from .towline/upstream"}},
		{"an environment", doctor.Repository{Environment: "prod, in eu-west-1"}, doctor.Check{Name: "environment", State: doctor.OK, Found: "prod, in eu-west-1"}},
		{"no target", doctor.Repository{Destination: doctor.Answer{Kind: fault.Usage, Said: "no target", Hint: "set TOWLINE_TARGET"}},
			doctor.Check{Name: "environment", State: doctor.Warning, Found: "no target", Setting: "set TOWLINE_TARGET"}},
		{"no environments", doctor.Repository{Destination: doctor.Answer{Kind: fault.Repository, Said: "none", Hint: "add one"}},
			doctor.Check{Name: "environment", State: doctor.Failed, Found: "none", Setting: "add one", Code: fault.Repository}},
		{"a history", doctor.Repository{HasGit: true}, doctor.Check{Name: "history", State: doctor.OK, Found: "complete"}},
		{"another project's history", doctor.Repository{From: "x"}, doctor.Check{Name: "history", State: doctor.NotChecked, Found: "versions are the model project's"}},
		{"a shallow clone", doctor.Repository{HasGit: true, Shallow: true, Commits: 20},
			doctor.Check{Name: "history", State: doctor.OK, Found: "shallow, with 20 commits; towline version fetches what it needs of the rest"}},
		{"a shallow clone, offline", doctor.Repository{HasGit: true, Shallow: true, Commits: 1, Reach: unasked},
			doctor.Check{Name: "history", State: doctor.Warning, Found: "shallow, with 1 commit; whether the rest can be fetched is not known: --offline"}},
		{"a shallow clone that stays one", doctor.Repository{HasGit: true, Shallow: true, Commits: 20, Reach: denied}, doctor.Check{Name: "history", State: doctor.Failed,
			Found: "shallow, with 20 commits, and the rest cannot be fetched: do it: AccessDenied", Setting: wholeClone, Code: fault.Denied}},
		{"no git", doctor.Repository{}, doctor.Check{Name: "history", State: doctor.Warning, Found: "no git repository with a commit",
			Setting: "git init, and commit: versions come from commits and tags"}},
		{"a job without git", doctor.Repository{InJob: true}, doctor.Check{Name: "history", State: doctor.Failed, Found: "no git repository with a commit", Code: fault.Missing,
			Setting: "remove GIT_STRATEGY: none or empty from the job's variables: versions come from commits and tags"}},
		{"a git that cannot be read", doctor.Repository{Git: denied},
			doctor.Check{Name: "history", State: doctor.Failed, Found: "do it: AccessDenied", Setting: "allow it", Code: fault.Denied}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			same(t, doctor.Facts{Repository: tt.repo}, doctor.GroupRepository, want{Check: tt.want})
		})
	}
}
