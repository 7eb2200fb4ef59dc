package release_test

import (
	"regexp"
	"strings"
	"testing"

	"gitlab.com/towline/towline/pkg/release"
)

func FuzzHeader(f *testing.F) {
	for _, seed := range []string{
		"feat: x", "feat(a)!: x", "FEAT: x", "feat:x", "feat(): x", "prefix: rename things", "docs: wow this!: is great",
		`Revert "feat: x"` + "\n\nThis reverts commit 0123456789abcdef.", "fixup! feat: x", "Draft: feat: wip",
		"fix: x\n\nBREAKING CHANGE: y\nRelease-As: 2.0.0", "a\r\n\r\nfix: b\r\n", "revert: x\n\nRefs: 0123456", "\n\n\n", "feat: \xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m := release.ParseMessage(text)
		if strings.ContainsAny(m.Subject, "\n") || m.Ignored != "" && (len(m.Headers) > 0 || m.Breaking != "" || m.ReleaseAs != "") {
			t.Errorf("ParseMessage(%q) = %+v", text, m)
		}
		for _, h := range m.Headers {
			// What was read can be written, and reads the same again.
			again, ok := release.ParseHeader(h.String())
			if !ok || again != h {
				t.Errorf("ParseHeader(%q) = %+v, %v, want %+v", h.String(), again, ok, h)
			}
			if h.Type != strings.ToLower(h.Type) || h.Text == "" {
				t.Errorf("header %+v of %q", h, text)
			}
		}
		for _, hash := range m.Reverted {
			if len(hash) < 7 || !strings.Contains(text, hash) {
				t.Errorf("ParseMessage(%q) takes back %q", text, hash)
			}
		}
	})
}

func FuzzTag(f *testing.F) {
	for _, seed := range []string{"v1.2.3", "v1.2.3-rc.1+b", "v01.2.3", "v1.2", "m/v1.2.3", "v18446744073709551616.0.0", "v1.2.3-0123"} {
		f.Add("v", seed)
		f.Add("m/v", seed)
	}
	f.Fuzz(func(t *testing.T, prefix, tag string) {
		c := release.Component{Prefix: prefix}
		version, ok := c.VersionOf(tag)
		if !ok {
			return
		}
		if c.TagName(version) != tag || !release.Valid(version) || release.Compare(version, version) != 0 {
			t.Errorf("VersionOf(%q) with prefix %q = %q", tag, prefix, version)
		}
		if back, ok := release.FromOCITag(release.OCITag(version)); len(version) <= 128 && (!ok || back != version) {
			t.Errorf("image tag of %q leads back to %q, %v", version, back, ok)
		}
		if python, err := release.PEP440(version); err == nil {
			if _, ok := release.FromPEP440(python); !ok {
				t.Errorf("%q is %q for Python, which leads nowhere", version, python)
			}
		}
	})
}

var (
	sageMaker = regexp.MustCompile(`^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$`)
	ociTag    = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	airflow   = regexp.MustCompile(`^[A-Za-z0-9_.~:+-]{1,24}$`)
)

func FuzzNames(f *testing.F) {
	for _, seed := range []string{"", "a", "threat-scoring", "größe", "...", "-", strings.Repeat("a.", 80), "1.2.0-cand.345", "\x00\xff", strings.Repeat("0", 300) + "A"} {
		f.Add(seed, "url-risk", "1.2.0+b")
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		name := release.SageMakerName(a, b, c)
		if len(name) > 63 || !sageMaker.MatchString(name) {
			t.Errorf("SageMakerName(%q, %q, %q) = %q", a, b, c, name)
		}
		if short := release.SageMakerNameMax(20, a, b, c); len(short) > 20 || !sageMaker.MatchString(short) {
			t.Errorf("SageMakerNameMax(20, %q, %q, %q) = %q", a, b, c, short)
		}
		if run, err := release.AirflowRunID("train", a, b, c); err != nil || !airflow.MatchString(run) {
			t.Errorf("AirflowRunID(%q, %q, %q) = %q, %v", a, b, c, run, err)
		}
		candidate := release.Candidate("1.2.3", "", a)
		preview := release.PreviewVersion("1.2.3", release.Preview{Branch: b, Pipeline: c})
		request := release.PreviewVersion("1.2.3", release.Preview{MergeRequest: a, Pipeline: c})
		for _, version := range []string{candidate, preview, request} {
			if !release.Valid(version) || !ociTag.MatchString(release.OCITag(version)) {
				t.Errorf("%q, %q, %q give %q, which is no version", a, b, c, version)
			}
			if release.Compare(version, "1.2.3") >= 0 || release.Compare(version, "1.2.2") <= 0 {
				t.Errorf("%q is not between 1.2.2 and 1.2.3", version)
			}
		}
	})
}
