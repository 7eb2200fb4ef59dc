//go:build peers

package e2e_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// checkReports wants a report of every kind that a job names, as GitLab reads
// it. Coverage is there only if the model's tests measure it, and the image has
// a page to link to only in ECR.
func (p *pipeline) checkReports(name string) {
	p.t.Helper()
	artifacts, _ := p.jobs[name]["artifacts"].(tree)
	reports, _ := artifacts["reports"].(tree)
	for kind, patterns := range reports {
		if kind == "coverage_report" || kind == "annotations" && name == "push" {
			continue
		}
		files := p.left(name, patterns)
		if len(files) == 0 {
			p.t.Errorf("job %s of %s left no report %s at %v", name, p.path, kind, patterns)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err == nil {
				err = checkReport(kind, text)
			}
			if err != nil {
				p.t.Errorf("report %s of job %s: %s: %v\n%s", kind, name, file, err, text)
			}
		}
	}
}

// left are the files in a job's folder that match one of the patterns.
func (p *pipeline) left(name string, patterns any) []string {
	p.t.Helper()
	folder := p.folderOf(name)
	var found []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(folder, path)
		for _, pattern := range list(patterns) {
			if !slices.Contains(found, path) && glob(expand(fmt.Sprint(pattern), p.predefined()), filepath.ToSlash(rel)) {
				found = append(found, path)
			}
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return found
}

// dotenv are the variables that a job left for later ones.
func (p *pipeline) dotenv(name string) map[string]string {
	p.t.Helper()
	all := map[string]string{}
	artifacts, _ := p.jobs[name]["artifacts"].(tree)
	reports, _ := artifacts["reports"].(tree)
	for _, file := range p.left(name, reports["dotenv"]) {
		text, err := os.ReadFile(file)
		if err != nil {
			p.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			all[key] = value
		}
	}
	return all
}

var dotenvLine = regexp.MustCompile(`^[A-Za-z0-9_]+=[^$]*$`)

// The limits of GitLab. https://docs.gitlab.com/ci/yaml/artifacts_reports/
const (
	dotenvBytes     = 5120
	dotenvVariables = 20
)

func checkReport(kind string, text []byte) error {
	switch kind {
	case "dotenv":
		return checkDotenv(string(text))
	case "codequality":
		var findings []struct {
			Description string
			CheckName   string `json:"check_name"`
			Fingerprint string
			Severity    string
			Location    struct {
				Path  string
				Lines struct{ Begin int }
			}
		}
		err := json.Unmarshal(text, &findings)
		for _, f := range findings {
			if f.Description == "" || f.CheckName == "" || f.Fingerprint == "" || f.Severity == "" || f.Location.Path == "" || f.Location.Lines.Begin < 1 {
				err = errors.Join(err, fmt.Errorf("finding %+v", f))
			}
		}
		return err
	case "junit":
		return wellFormed(text)
	case "metrics":
		if !strings.HasSuffix(string(text), "# EOF\n") {
			return errors.New("it does not end in # EOF")
		}
		return nil
	case "cyclonedx", "annotations":
		var document map[string]any
		return json.Unmarshal(text, &document)
	}
	return fmt.Errorf("nobody knows how GitLab reads a report %s", kind)
}

func checkDotenv(text string) error {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for _, line := range lines {
		if !dotenvLine.MatchString(line) {
			return fmt.Errorf("line %q", line)
		}
	}
	if len(lines) > dotenvVariables || len(text) >= dotenvBytes {
		return fmt.Errorf("%d variables in %d bytes", len(lines), len(text))
	}
	return nil
}

func wellFormed(text []byte) error {
	decoder := xml.NewDecoder(strings.NewReader(string(text)))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
