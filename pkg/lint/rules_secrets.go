package lint

import (
	"path"
	"strings"
	"sync"

	"gitlab.com/towline/towline/pkg/lint/leaks"
)

// secretRules are about credentials: family 6. What they find is never
// repeated: not in messages, not as the line of a finding.
func secretRules() []Rule {
	finder := sync.OnceValues(leaks.New)
	return []Rule{{
		ID: "TL601", Name: "known-credential", Severity: Critical, In: map[Profile]Severity{Production: Blocker},
		Looks:  "credentials whose form alone gives them away, by the rules of gitleaks, and private keys",
		Why:    "in 2016 attackers found AWS keys in a private repository of Uber, and with them the data of 57 million people (FTC, Uber Technologies, 2018)",
		Advice: "revoke the credential first, then take it out: it stays in git's history; hand secrets over by CI/CD variables or Secrets Manager",
		Bad:    Example{Files: map[string]string{"train.py": "import boto3\ns = boto3.Session('AKIA" + "Q3EGR7UZX2MDN5VB', '')\n"}, At: "train.py:2"},
		Good:   Example{Files: map[string]string{"train.py": "import boto3\ns = boto3.Session()\n"}},
		File: func(f *File, r *Report) {
			reportLeaks(f, r, finder, func(l leaks.Leak) bool { return !l.Named })
		},
	}, {
		ID: "TL602", Name: "likely-credential", Severity: Minor,
		Looks:  "long random values beside a name that speaks of a secret or of a service that has them",
		Why:    "GitGuardian finds that more than half of the secrets in public commits are generic: passwords and tokens that no service's format gives away (State of Secrets Sprawl 2025)",
		Advice: "read it from the environment; if it is none, say so: # towline: ignore TL602 reason",
		Bad:    Example{Files: map[string]string{"train.py": "api_token = 'x9Kf" + "2mQ7vL4wZ8rT1nB6'\n"}, At: "train.py:1"},
		Good:   Example{Files: map[string]string{"train.py": "import os\napi_token = os.environ['API_TOKEN']\n"}},
		File: func(f *File, r *Report) {
			if !isTest(f.Path) {
				reportLeaks(f, r, finder, func(l leaks.Leak) bool { return l.Named && assigned(f, l) })
			}
		},
	}, {
		ID: "TL603", Name: "credentials-file", Severity: Critical, In: map[Profile]Severity{Production: Blocker},
		Looks:  "files of credentials that git tracks: .env, .netrc, .pypirc, .aws/credentials, private keys of ssh",
		Why:    "an .env file that was packaged along put the secrets of a service into its public image (convox/rack#454)",
		Advice: "remove it with git rm --cached, list it in .gitignore, and change what was in it",
		Bad:    Example{Files: map[string]string{".env": "DB_PASSWORD=hunter2\n"}, At: ".env"},
		Good:   Example{Files: map[string]string{".env": "DB_PASSWORD=hunter2\n", ".env.example": "DB_PASSWORD=\n"}, Untracked: []string{".env"}},
		File:   credentialsFile,
	}}
}

// reportLeaks reports what the finder finds in a file's text. In notebooks
// these are the lines of the JSON, so that outputs are looked at too.
func reportLeaks(f *File, r *Report, finder func() (*leaks.Finder, error), wanted func(leaks.Leak) bool) {
	if f.Binary() || isLockFile(f.Path) {
		return
	}
	for _, leak := range f.leaks(finder) {
		if wanted(leak) {
			finding := r.At(f, leak.Line, leak.Column, "this looks like a credential: %s", leak.Title)
			finding.hidden = true
			if isTest(f.Path) {
				finding.Severity = min(finding.Severity, Minor) // keys of tests open nothing, as a rule
			}
		}
	}
}

// leaks looks for credentials, once for both rules.
func (f *File) leaks(finder func() (*leaks.Finder, error)) []leaks.Leak {
	c, lines := f.load(), f.Lines()
	c.searched.Do(func() {
		find, err := finder()
		if err != nil {
			panic(err) // the rules are part of the program
		}
		if f.Kind == Notebook {
			lines = unescaped(lines)
		}
		c.leaks = find.Find(f.Path, lines)
	})
	return c.leaks
}

// unescaped are the lines of a notebook with quotes as they are in a cell.
// Columns are moved by it, lines are not.
func unescaped(lines []string) []string {
	list := make([]string, len(lines))
	replace := strings.NewReplacer(`\"`, `"`, `\n`, "  ")
	for i, line := range lines {
		if list[i] = line; strings.Contains(line, `\`) && len(line) < 1<<20 && !strings.Contains(line, "-----BEGIN") {
			list[i] = replace.Replace(line)
		}
	}
	return list
}

// isLockFile says whether a file is a lock: hashes are all it has.
func isLockFile(name string) bool {
	base := path.Base(name)
	return locksOf[base] != "" || strings.HasSuffix(base, ".lock") || base == "package-lock.json" || base == "yarn.lock"
}

// assigned says whether a value is a quoted text, or stands in a file that
// has no quotes; gitleaks takes names of attributes for values too.
func assigned(f *File, leak leaks.Leak) bool {
	line := f.Line(leak.Line)
	if leak.Column < 2 || leak.Column > len(line) {
		return true
	}
	switch line[leak.Column-2] {
	case '\'', '"', '`':
		return !strings.ContainsAny(line[leak.Column-1:min(leak.End-1, len(line))], ".") || f.Kind != Python
	}
	return f.Kind == Other && (strings.HasPrefix(path.Base(f.Path), ".env") || path.Ext(f.Path) == ".ini" || path.Ext(f.Path) == ".cfg" || path.Ext(f.Path) == ".properties") || f.Kind == YAML
}

// credentialNames are files that hold credentials by convention.
var credentialNames = set(".env", ".netrc", "_netrc", ".pypirc", ".pgpass", ".git-credentials", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519")

func credentialsFile(f *File, r *Report) {
	base := path.Base(f.Path)
	kind, dotted := strings.CutPrefix(base, ".env.")
	template := false
	for _, word := range []string{"example", "sample", "template", "dist", "test", "ci", "defaults"} {
		template = template || strings.Contains(kind, word)
	}
	named := credentialNames[base] || dotted && !template || strings.HasSuffix("/"+f.Path, "/.aws/credentials") || strings.HasSuffix("/"+f.Path, "/.docker/config.json")
	if !named || !f.Repo.Tracked(f.Path) || f.Size == 0 || isTest(f.Path) {
		return
	}
	if strings.HasPrefix(base, ".env") && !holdsSecret(f) {
		return
	}
	r.Whole(f, "git tracks a file of credentials")
}

// holdsSecret says whether a file of variables sets one that is named like a secret.
func holdsSecret(f *File) bool {
	for _, line := range f.Lines() {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if ok && secretName(strings.TrimSpace(name)) && secretValue(strings.Trim(value, `"' `)) {
			return true
		}
	}
	return false
}
