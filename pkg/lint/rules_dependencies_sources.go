package lint

import (
	"regexp"
	"strings"
	"sync"

	"gitlab.com/towline/towline/pkg/requirements"
)

// sourceRules are about where dependencies come from.
func sourceRules() []Rule {
	return []Rule{{
		ID: "TL805", Name: "moving-source", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "requirements from git without a commit or a tag",
		Why:    "a branch is another program with every push; tags can be moved too, as happened to tj-actions/changed-files in 2025 (CVE-2025-30066)",
		Advice: "name the commit: git+https://…@<40 hexadecimal digits>",
		Bad:    Example{Files: map[string]string{"requirements.txt": "shap @ git+https://github.com/shap/shap.git@master\n"}, At: "requirements.txt:1"},
		Good:   Example{Files: map[string]string{"requirements.txt": "shap @ git+https://github.com/shap/shap.git@" + strings.Repeat("0a", 20) + "\n"}},
		File:   movingSources,
	}, {
		ID: "TL806", Name: "insecure-index", Severity: Major,
		Looks:  "package indexes over plain http, and --trusted-host",
		Why:    "whoever sits between can hand over any package; CVE-2013-1629 was filed against pip for exactly that, and pip has refused such hosts since 6.0 unless told to trust them",
		Advice: "use https, and give a private authority's certificate by --cert or PIP_CERT",
		Bad:    Example{Files: map[string]string{"requirements.txt": "--index-url http://pypi.example.com/simple\n"}, At: "requirements.txt:1"},
		Good:   Example{Files: map[string]string{"requirements.txt": "--index-url https://pypi.example.com/simple\n"}},
		File:   insecureIndexes,
	}, {
		ID: "TL807", Name: "second-index", Severity: Minor, In: map[Profile]Severity{Prototype: Info, Production: Major},
		Looks:  "--extra-index-url without hashes",
		Why:    "pip takes the highest version of all indexes: in December 2022 a torchtriton on the public index was installed instead of PyTorch's own, and sent out people's files (pytorch.org, compromised nightly dependency)",
		Advice: "add hashes (uv pip compile --generate-hashes), or bind packages to an index with [tool.uv.sources]",
		Bad:    Example{Files: map[string]string{"requirements.txt": "--extra-index-url https://pypi.example.com/simple\nours==1.0\n"}, At: "requirements.txt:1"},
		Good:   Example{Files: map[string]string{"requirements.txt": "--extra-index-url https://pypi.example.com/simple\nours==1.0 --hash=sha256:" + strings.Repeat("0a", 32) + "\n"}},
		File:   secondIndex,
	}, {
		ID: "TL808", Name: "path-of-another-machine", Severity: Critical,
		Looks:  "requirements that lie on a disk, outside of the repository",
		Why:    "pip freeze in a conda environment writes `certifi @ file:///croot/certifi_1671487769961/work`, which is a folder of conda's build machine",
		Advice: "write name==version: pip list --format=freeze",
		Bad:    Example{Files: map[string]string{"requirements.txt": "certifi @ file:///croot/certifi_1671487769961/work\n"}, At: "requirements.txt:1"},
		Good:   Example{Files: map[string]string{"requirements.txt": "certifi==2022.12.7\n./wheels/ours-1.0-py3-none-any.whl\n"}},
		File:   foreignPaths,
	}}
}

var (
	commitRef  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{7,64}$`) })
	releaseRef = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(refs/tags/.+|[A-Za-z_-]*[0-9]+(\.[0-9A-Za-z_-]+)+)$`)
	})
)

func movingSources(f *File, r *Report) {
	if f.Kind != Requirements || isTest(f.Path) {
		return
	}
	for _, d := range requirementsIn(f) {
		address, isGit := strings.CutPrefix(d.URL, "git+")
		if !isGit || strings.Contains(address, "${") {
			continue
		}
		address, _, _ = strings.Cut(address, "#")
		_, behind, _ := strings.Cut(address, "://")
		_, behind, _ = strings.Cut(behind, "/") // an @ before is the user's
		_, ref, named := strings.Cut(behind, "@")
		switch {
		case !named:
			r.At(f, d.line.Number, 1, "the default branch of %s is another program with every push", nameOr(d))
		case !commitRef().MatchString(ref) && !releaseRef().MatchString(ref):
			r.At(f, d.line.Number, 1, "%q of %s is a branch: another program with every push", ref, nameOr(d))
		}
	}
}

// nameOr is the name of a requirement, or what stands for it.
func nameOr(d declared) string {
	if d.Name == "" {
		return "the repository"
	}
	return d.Name
}

func insecureIndexes(f *File, r *Report) {
	switch {
	case f.Kind == Requirements && !isTest(f.Path):
		for _, line := range requirements.Lines(f.Bytes()) {
			switch line.Option {
			case "-i", "--index-url", "--extra-index-url", "-f", "--find-links":
				if isPlainHTTP(line.Value) {
					r.At(f, line.Number, 1, "packages are fetched over plain http").hidden = strings.Contains(line.Value, "@")
				}
			case "--trusted-host":
				r.At(f, line.Number, 1, "the certificate of %s is not checked", line.Value)
			}
		}
	case strings.HasSuffix(f.Path, "pyproject.toml"):
		p := readProject(f)
		for _, index := range append(p.Tool.UV.Index, p.Tool.Poetry.Source...) {
			if isPlainHTTP(index.URL) {
				r.At(f, lineWith(f, index.URL), 0, "packages are fetched over plain http").hidden = strings.Contains(index.URL, "@")
			}
		}
	}
}

func isPlainHTTP(address string) bool {
	rest, plain := strings.CutPrefix(address, "http://")
	return plain && !strings.HasPrefix(rest, "localhost") && !strings.HasPrefix(rest, "127.")
}

func secondIndex(f *File, r *Report) {
	if !installsFrom(f) {
		return
	}
	lines := requirements.Lines(f.Bytes())
	hashed, all := 0, 0
	for _, line := range lines {
		if line.Option == "" {
			all++
			if strings.Contains(line.Own, "--hash") {
				hashed++
			}
		}
	}
	for _, line := range lines {
		if line.Option == "--extra-index-url" && hashed < all {
			r.At(f, line.Number, 1, "any name may come from either index, whichever has the higher version").hidden = strings.Contains(line.Value, "@")
		}
	}
}

var machinePath = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(file:///(?:[^/]|$)|/[^/]|~/|[A-Za-z]:[\\/]|file:///[A-Za-z]:)`)
})

func foreignPaths(f *File, r *Report) {
	if f.Kind != Requirements {
		return
	}
	for _, d := range requirementsIn(f) {
		if d.URL != "" && machinePath().MatchString(d.URL) && !strings.Contains(d.URL, "${") && !strings.Contains(d.URL, "/opt/ml/") {
			r.At(f, d.line.Number, 1, "%s lies on the disk of one machine: %s", nameOr(d), d.URL)
		}
	}
}
