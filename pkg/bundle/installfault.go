package bundle

import (
	"cmp"
	"regexp"
	"strings"
	"sync"

	"gitlab.com/towline/towline/pkg/fault"
)

// networkWords stand in what uv and pip say when an index is out of reach.
var networkWords = []string{
	"client error (Connect)", "dns error", "failed to lookup address", "tcp connect error", "operation timed out",
	"error sending request", "Request failed after", "Could not connect", "Network is unreachable",
	"Failed to establish a new connection", "NewConnectionError", "Temporary failure in name resolution", "ProxyError",
}

func isNetwork(err error) bool {
	text, ok := exited(err)
	if !ok {
		return false
	}
	for _, word := range networkWords {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// What uv and pip say of a package they cannot install; the first group is the package.
var (
	noWheel = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`Wheels are required for .([\w.-]+)|([\w.-]+(?:[=<>!~][^\s,]*)?) has no (?:usable )?wheels|` +
			`No matching distribution found for ([^\s]+)`)
	})
	notFound = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`Because (?:there is no version of )?([^\s]+)(?: was not found in the (?:package registry|provided package locations)| and you require)`)
	})
	badHash = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)hash mismatch for .?([\w.=-]+)|THESE PACKAGES DO NOT MATCH THE HASHES`)
	})
	badLine = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)couldn't parse|could not parse|unexpected .* in .*requirements|invalid requirement`)
	})
	contradict = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`we can conclude that your requirements are unsatisfiable|ResolutionImpossible`)
	})
	noBuild = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile("Building source distributions (?:for `([^`]+)` )?is disabled|Failed to (?:download and )?build `([^`]+)`")
	})
	noText   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)did not contain valid UTF-8|codec can't decode`) })
	fullDisk = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)no space left on device|disk quota exceeded`) })
	noPython = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`No interpreter found|no interpreter found`) })
)

// installFault says what went wrong, in the installer's last words.
func installFault(job *installation, err error) error {
	if err == nil {
		return nil
	}
	text, ok := exited(err)
	if !ok {
		if notStarted(err) {
			return fault.Newf(fault.Missing, "install %s: %w", job.name, err).Hintf("install uv, or name it by TOWLINE_UV")
		}
		return diskFault("install "+job.name, err)
	}
	return judgeInstall(job, text, isNetwork(err)).With(lastWords(text)...)
}

func judgeInstall(job *installation, text string, network bool) *fault.Error {
	switch {
	case fullDisk().MatchString(text):
		return fault.Newf(fault.Remote, "install %s: no space left on device", job.name).
			Hintf("free some space, or set TOWLINE_CACHE to a folder on a larger disk")
	case network:
		return fault.Newf(fault.Remote, "install %s: the package index is out of reach", job.name).
			Hintf("check the network and the index's address (UV_INDEX_URL); what was installed once needs no network")
	case noPython().MatchString(text):
		return fault.Newf(fault.Missing, "install %s: uv finds no Python on this host", job.name).
			Hintf("install Python %s", job.python)
	case badHash().MatchString(text):
		return fault.Newf(fault.Repository, "install %s: a package does not match its hash", job.name).
			Hintf("write the file anew, and find out why the package has changed")
	case noText().MatchString(text):
		return fault.Newf(fault.Repository, "install %s: it is no text in UTF-8", job.name).Hintf("write the file anew")
	case badLine().MatchString(text):
		return fault.Newf(fault.Repository, "install %s: a line is no requirement", job.name).Hintf("correct the line")
	}
	if name := group1(noWheel(), text); name != "" {
		return fault.Newf(fault.Missing, "install %s: no wheel of %s for Python %s on %s", job.name, name, job.python, job.platform).
			Hintf("choose a version that has one, or build a wheel and name its folder by a --find-links line")
	}
	if name := group1(notFound(), text); name != "" {
		return fault.Newf(fault.Missing, "install %s: %s is not in the package index", job.name, name).
			Hintf("correct its name or version, or name the index that has it (UV_INDEX_URL)")
	}
	if contradict().MatchString(text) {
		return fault.Newf(fault.Repository, "install %s: what it asks for contradicts itself", job.name).
			Hintf("change one of the versions named above")
	}
	if found := noBuild().FindString(text); found != "" {
		return fault.Newf(fault.Repository, "install %s: %s has to be built, and only wheels are installed", job.name, cmp.Or(group1(noBuild(), text), "a dependency")).
			Hintf("build a wheel of it and name its folder by a --find-links line; code of this repository belongs under shared in towline.yaml")
	}
	return fault.Newf(fault.Remote, "install %s: the installer broke down", job.name).
		Hintf("its last words are above: correct %s, or try again", job.name)
}

// group1 is the first group that took part in the first match.
func group1(pattern *regexp.Regexp, text string) string {
	for i, found := range pattern.FindStringSubmatch(text) {
		if i > 0 && found != "" {
			return found
		}
	}
	return ""
}

// lastWords are the lines from the installer's error on, at most eight.
func lastWords(text string) []string {
	var words []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \r\n")
		if isErrorLine(line) && (len(words) == 0 || !isErrorLine(words[0])) {
			words = words[:0]
		}
		if strings.TrimSpace(line) != "" {
			words = append(words, withoutLogin(line))
		}
	}
	return words[max(0, len(words)-8):]
}

func isErrorLine(line string) bool {
	return strings.HasPrefix(line, "error:") || strings.HasPrefix(line, "ERROR:")
}

var login = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`://[^/\s]*@`) })

// withoutLogin takes user names and passwords out of addresses, also passwords with an @ in them.
func withoutLogin(text string) string { return login().ReplaceAllString(text, "://") }
