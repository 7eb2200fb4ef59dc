package record_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/record"
)

func full() record.Record {
	f1 := 0.97
	r := record.Record{
		Schema: record.Schema, Project: "threat-scoring", Model: "url-risk",
		Version: record.Version{
			Version: "1.2.3", Candidate: "1.2.3-cand.42", Base: "1.2.2", Bump: "patch", Released: true, Exact: true,
			Reason: []record.Reason{{Commit: "0a1b", Bump: "patch", Text: "fix: <b> & c"}},
		},
		Identity: strings.Repeat("0a", 32),
		Source:   record.Source{Repository: "https://gitlab.example.com/a/b.git", Commit: strings.Repeat("c", 40), Ref: "main"},
		Data:     []record.Channel{{Name: "train", URI: "s3://bucket/train/", Digest: strings.Repeat("d", 64), Test: true}},
	}
	for _, section := range []record.Section{
		record.Image{Repository: "registry.example.com/threat-scoring/url-risk", Digest: "sha256:" + strings.Repeat("e", 64), Platform: "linux/amd64", Base: "scratch", Size: 42},
		record.Training{Job: "threat-scoring-url-risk-1-2-3-cand-42", ModelData: "s3://bucket/model.tar.gz", Hyperparameters: map[string]string{"b": "1", "a": "2"}},
		record.Evaluation{Metrics: map[string]float64{"f1": f1}, Confusion: &record.Confusion{Labels: []string{"a", "b"}, Matrix: [][]int64{{1, 2}, {3, 4}}}},
		record.Verdict{Passed: true, Checks: []record.Check{{Metric: "f1", Rule: "at_least", Candidate: &f1, Limit: 0.8, Status: "passed", Text: "f1 0.97 ≥ 0.8"}}},
		record.Endpoint{Environment: "prod", Name: "threat-scoring-url-risk-prod", Config: "c", Model: "m"},
	} {
		r = section.Into(r)
	}
	return r
}

func TestRecordIsReadAsItWasWritten(t *testing.T) {
	data, err := record.Marshal(full())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte("fix: <b> & c")) || !bytes.HasSuffix(data, []byte("}\n")) {
		t.Errorf("Marshal = %s", data)
	}
	got, err := record.Unmarshal(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(), got); diff != "" {
		t.Errorf("Unmarshal(Marshal(r)) (-want +got):\n%s", diff)
	}
	again, err := record.Marshal(got)
	if err != nil || !bytes.Equal(data, again) {
		t.Errorf("the second Marshal differs: %v\n%s", err, again)
	}
}

func TestIndexIsReadAsItWasWritten(t *testing.T) {
	want := record.Index{Schema: record.IndexSchema, Project: "threat-scoring", Models: []record.Record{full()}}
	data, err := record.MarshalIndex(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := record.UnmarshalIndex(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("UnmarshalIndex(MarshalIndex(i)) (-want +got):\n%s", diff)
	}
	if _, err := record.Unmarshal(data); fault.KindOf(err) != fault.Repository {
		t.Errorf("Unmarshal of an index = %v", err)
	}
}

func TestWhatALaterTowlineWroteIsKept(t *testing.T) {
	data, err := record.Marshal(full())
	if err != nil {
		t.Fatal(err)
	}
	newer := string(data)
	for _, change := range [][2]string{
		{`"identity":`, `"batch": {"html": "<b>", "n": 12345678901234567890}, "identity":`},
		{`"metrics": {`, `"fairness": [1.50], "metrics": {`},
		{`"name": "train",`, `"rows": 7, "name": "train",`},
		{`"passed": true,`, `"by": "a policy", "passed": true,`},
	} {
		if !strings.Contains(newer, change[0]) {
			t.Fatalf("no %s in %s", change[0], newer)
		}
		newer = strings.Replace(newer, change[0], change[1], 1)
	}
	r, err := record.Unmarshal([]byte(newer))
	if err != nil {
		t.Fatal(err)
	}
	written, err := record.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, kept := range []string{`"html": "<b>"`, `"n": 12345678901234567890`, "1.50", `"rows": 7`, `"by": "a policy"`} {
		if strings.Count(string(written), kept) != 1 {
			t.Errorf("the record does not hold %s once:\n%s", kept, written)
		}
	}
	if again, err := record.Unmarshal(written); err != nil || !cmp.Equal(r, again, cmpopts.EquateEmpty()) {
		t.Errorf("it is not read as it was written: %v", err)
	}
	index, err := record.MarshalIndex(record.Index{Schema: record.IndexSchema, Project: "threat-scoring", Models: []record.Record{r}})
	if err != nil || !bytes.Contains(index, []byte(`"by": "a policy"`)) {
		t.Errorf("an index does not keep it: %v\n%s", err, index)
	}

	judged, err := record.Marshal(record.Verdict{Passed: true, Checks: []record.Check{}}.Into(r))
	if err != nil || bytes.Contains(judged, []byte("a policy")) || !bytes.Contains(judged, []byte(`"rows": 7`)) {
		t.Errorf("a new verdict has what belonged to the old one, or something else is lost: %v\n%s", err, judged)
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	good, err := record.Marshal(full())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, old, text string
		want            string
	}{
		{"a broken file", `"project"`, `project`, "it is not JSON"},
		{"another format", "towline/record/v1", "towline/record/v2", `its schema is "towline/record/v2", wanted "towline/record/v1"`},
		{"a number for a name", `"model": "url-risk"`, `"model": 1`, "cannot unmarshal number"},
		{"a model that climbs", `"model": "url-risk"`, `"model": "../x"`, `its model is "../x"`},
		{"no project", `"project": "threat-scoring"`, `"project": ""`, `its project is ""`},
		{"a short identity", strings.Repeat("0a", 32), "0a", `its identity is "0a"`},
		{"a digest of another kind", "sha256:", "md5:", `its image.digest is "md5:`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := record.Unmarshal([]byte(strings.Replace(string(good), tt.old, tt.text, 1)))
			if fault.KindOf(err) != fault.Repository || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("Unmarshal = %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := record.Unmarshal(append(good, "{}"...)); err == nil {
		t.Error("Unmarshal takes a second document")
	}
	if _, err := record.Unmarshal(make([]byte, record.MaxSize+1)); err == nil {
		t.Error("Unmarshal takes a file of any size")
	}
}

// parseDotenv reads a dotenv report as GitLab does.
func parseDotenv(data []byte) (map[string]string, error) {
	if len(data) >= 5120 {
		return nil, fmt.Errorf("the report has %d bytes", len(data))
	}
	variables := map[string]string{}
	for line := range strings.Lines(string(data)) {
		found := regexp.MustCompile(`^(.*?)=(.*)$`).FindStringSubmatch(strings.TrimRight(line, "\n"))
		if found == nil {
			return nil, fmt.Errorf("invalid format: %q", line)
		}
		key, value := strings.TrimSpace(found[1]), strings.TrimSpace(found[2])
		if !regexp.MustCompile(`\A[a-zA-Z0-9_]+\z`).MatchString(key) || strings.Contains(value, "$") {
			return nil, fmt.Errorf("invalid variable: %q", line)
		}
		variables[key] = value
	}
	if len(variables) > 20 {
		return nil, fmt.Errorf("%d variables", len(variables))
	}
	return variables, nil
}

func TestEnvIsWhatGitLabReads(t *testing.T) {
	data, err := full().Env(record.EnvPrefix)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseDotenv(data)
	if err != nil {
		t.Fatal(err)
	}
	digest := "sha256:" + strings.Repeat("e", 64)
	want := map[string]string{
		"TOWLINE_VERSION": "1.2.3", "TOWLINE_CANDIDATE": "1.2.3-cand.42", "TOWLINE_BASE": "1.2.2", "TOWLINE_RELEASED": "true",
		"TOWLINE_IDENTITY": strings.Repeat("0a", 32), "TOWLINE_COMMIT": strings.Repeat("c", 40),
		"TOWLINE_IMAGE_URI":    "registry.example.com/threat-scoring/url-risk@" + digest,
		"TOWLINE_IMAGE_DIGEST": digest,
		"TOWLINE_TRAINING_JOB": "threat-scoring-url-risk-1-2-3-cand-42",
		"TOWLINE_MODEL_DATA":   "s3://bucket/model.tar.gz",
		"TOWLINE_VERDICT":      "passed",
		"TOWLINE_ENDPOINT":     "threat-scoring-url-risk-prod",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Env (-want +got):\n%s", diff)
	}
	for _, read := range []string{"MODEL", "TARGET", "ENV", "CACHE", "UV"} {
		if _, clash := got[record.EnvPrefix+read]; clash {
			t.Errorf("Env sets TOWLINE_%s, which Towline reads itself", read)
		}
	}
}

func TestEnvOfOneOfSeveralModels(t *testing.T) {
	r := record.Record{Version: record.Version{Version: "0.1.0"}}
	r = record.Verdict{}.Into(r)
	data, err := r.Env(record.Prefix("url-risk"))
	want := "TOWLINE_URL_RISK_VERSION=0.1.0\nTOWLINE_URL_RISK_RELEASED=false\nTOWLINE_URL_RISK_VERDICT=refused\n"
	if err != nil || string(data) != want {
		t.Errorf("Env = %q, %v, want %q", data, err, want)
	}
}

func TestEnvRefusesWhatGitLabWouldChange(t *testing.T) {
	for _, value := range []string{"a$b", " a", "a ", "a\nb", `"a"`, "a'b", "a\tb", "a\\n", strings.Repeat("a", 6000)} {
		r := full()
		r.Candidate = value
		if data, err := r.Env(record.EnvPrefix); fault.KindOf(err) != fault.Repository {
			t.Errorf("Env with the candidate %.20q = %.40q, %v", value, data, err)
		}
	}
	if _, err := full().Env("towline-"); fault.KindOf(err) != fault.Bug {
		t.Errorf("Env(towline-) = %v", err)
	}
}

func FuzzUnmarshal(f *testing.F) {
	good, err := record.Marshal(full())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"schema":"towline/record/v1","project":"a","model":"b","version":"1 $x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := record.Unmarshal(data)
		if err != nil {
			if fault.KindOf(err) != fault.Repository {
				t.Errorf("Unmarshal(%q) = %v", data, err)
			}
			return
		}
		written, err := record.Marshal(r)
		if err != nil {
			t.Fatalf("Marshal(Unmarshal(%q)): %v", data, err)
		}
		again, err := record.Unmarshal(written)
		if err != nil {
			t.Fatalf("Unmarshal(%s): %v", written, err)
		}
		if diff := cmp.Diff(r, again, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("Unmarshal(Marshal(r)) (-want +got):\n%s", diff)
		}
		env, err := r.Env(record.EnvPrefix)
		if err != nil {
			return
		}
		if _, err := parseDotenv(env); err != nil {
			t.Errorf("GitLab refuses %q: %v", env, err)
		}
	})
}
