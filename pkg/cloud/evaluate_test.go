package cloud_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/cloud"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
)

// archive packs names and contents in turn.
func archive(t testing.TB, files ...string) []byte {
	t.Helper()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	tape := tar.NewWriter(zip)
	for i := 0; i < len(files); i += 2 {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: files[i], Size: int64(len(files[i+1])), Mode: 0o644}
		if strings.HasSuffix(files[i], "/") {
			header.Typeflag = tar.TypeDir
		}
		if err := tape.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := tape.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if tape.Close() != nil || zip.Close() != nil {
		t.Fatal("pack the archive")
	}
	return packed.Bytes()
}

func evaluating() plan.Evaluate {
	return plan.Evaluate{OutputData: plan.Text("s3://bucket/out/output.tar.gz"), File: "evaluation.json", TestData: "d1", Channel: "test"}
}

func TestEvaluateReadsTheArchive(t *testing.T) {
	f := newAmazon(t)
	f.files["bucket/out/output.tar.gz"] = archive(t, "./", "", "./plots/roc.png", "…", "./evaluation.json", `{"metrics": {"f1": 0.9712345, "recall": 1}}`)
	got, err := connect(t, f.URL).Evaluate(context.Background(), evaluating())
	if err != nil {
		t.Fatal(err)
	}
	want := record.Evaluation{Metrics: map[string]float64{"f1": 0.9712345, "recall": 1}, TestData: "d1", DataName: "test"}
	if diff := cmp.Diff(record.Section(want), got.Section); diff != "" {
		t.Errorf("the record's evaluation (-want +got):\n%s", diff)
	}
	var yielded record.Evaluation
	if err := json.Unmarshal([]byte(got.Yields["evaluation"]), &yielded); err != nil || !cmp.Equal(want, yielded) {
		t.Errorf("yielded %s, %v", got.Yields["evaluation"], err)
	}
	if got.Said != "f1 0.9712, recall 1" {
		t.Errorf("said %q", got.Said)
	}
}

func TestEvaluateSaysWhatIsWrongWithTheArchive(t *testing.T) {
	whole := archive(t, "evaluation.json", `{"f1": 1}`)
	for _, tt := range []struct {
		phrase string
		file   []byte // nil: none
		kind   fault.Kind
		text   string
	}{
		{"there is none", nil, fault.Model, "the training did not write it"},
		{"the file is not in it", archive(t, "metrics.json", "{}"), fault.Model, "the training did not write it"},
		{"it is cut off", whole[:len(whole)/2], fault.Remote, "read the evaluation from s3://bucket/out/output.tar.gz"},
		{"it is no archive", []byte("hello"), fault.Remote, "read the evaluation"},
		{"the file is too large", archive(t, "evaluation.json", strings.Repeat(" ", 33<<20)), fault.Model, "larger than 32 MB"},
		{"the file is a folder", archive(t, "evaluation.json/", ""), fault.Model, "did not write it"},
	} {
		t.Run(tt.phrase, func(t *testing.T) {
			f := newAmazon(t)
			if tt.file != nil {
				f.files["bucket/out/output.tar.gz"] = tt.file
			}
			_, err := connect(t, f.URL).Evaluate(context.Background(), evaluating())
			failsWith(t, err, tt.kind, tt.text)
		})
	}
}

func TestParseEvaluation(t *testing.T) {
	for _, tt := range []struct {
		phrase string
		body   string
		want   record.Evaluation
	}{
		{"metrics of their own", `{"metrics": {"f1": 0.5}, "model": "svm"}`, record.Evaluation{Metrics: map[string]float64{"f1": 0.5}}},
		{"a flat object", `{"f1": 0.5, "rmse": 12}`, record.Evaluation{Metrics: map[string]float64{"f1": 0.5, "rmse": 12}}},
		{"a flat object with residuals", `{"rmse": 2, "residuals": [1, -2.5]}`,
			record.Evaluation{Metrics: map[string]float64{"rmse": 2}, Residuals: []float64{1, -2.5}}},
		{"a confusion matrix", `{"metrics": {"f1": 1}, "confusion_matrix": {"labels": ["a", "b"], "matrix": [[1, 2], [3, 4]]}}`,
			record.Evaluation{Metrics: map[string]float64{"f1": 1}, Confusion: &record.Confusion{Labels: []string{"a", "b"}, Matrix: [][]int64{{1, 2}, {3, 4}}}}},
		{"labels that are numbers", `{"f1": 1, "confusion_matrix": {"labels": [0, 1], "matrix": [[1.0, 2], [3, 4]]}}`,
			record.Evaluation{Metrics: map[string]float64{"f1": 1}, Confusion: &record.Confusion{Labels: []string{"0", "1"}, Matrix: [][]int64{{1, 2}, {3, 4}}}}},
		{"nothing where there could be more", `{"metrics": {"f1": 1}, "confusion_matrix": null, "residuals": null}`,
			record.Evaluation{Metrics: map[string]float64{"f1": 1}}},
	} {
		t.Run(tt.phrase, func(t *testing.T) {
			got, err := cloud.ParseEvaluation("evaluation.json", []byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("ParseEvaluation(%s) (-want +got):\n%s", tt.body, diff)
			}
		})
	}
}

func TestParseEvaluationRefuses(t *testing.T) {
	for _, tt := range []struct{ phrase, body, text string }{
		{"NaN", `{"metrics": {"accuracy": 1, "f1": NaN}}`, "read evaluation.json: f1 is NaN, which is not JSON"},
		{"Infinity", `{"rmse": Infinity}`, "rmse is Infinity"},
		{"minus infinity", `{"rmse": -Infinity}`, "rmse is -Infinity"},
		{"NaN among the residuals", `{"rmse": 1, "residuals": [1, NaN]}`, "residuals is NaN"},
		{"NaN in a text is no number", `{"note": "NaN", "f1": }`, "it is not JSON"},
		{"null for a metric", `{"f1": null}`, `metric "f1" is null, wanted a number`},
		{"a text for a metric", `{"metrics": {"f1": "0.9"}}`, `metric "f1" is a text`},
		{"an object for a metric", `{"metrics": {"macro avg": {"f1": 1}}}`, `metric "macro avg" is an object`},
		{"a number that no machine holds", `{"f1": 1e999}`, `metric "f1" is a number out of range`},
		{"no metrics", `{"metrics": {}}`, "holds no metrics"},
		{"metrics that are a list", `{"metrics": [1]}`, "metrics is a list"},
		{"a list", `[1, 2]`, "it is a list, wanted an object"},
		{"null", `null`, "holds no metrics"},
		{"nothing", ``, "it is not JSON"},
		{"two objects", `{"f1": 1} {"f1": 2}`, "it is not JSON"},
		{"a matrix without labels", `{"f1": 1, "confusion_matrix": {"matrix": [[1]]}}`, "0 labels and 1 rows"},
		{"a matrix that is not square", `{"f1": 1, "confusion_matrix": {"labels": ["a", "b"], "matrix": [[1, 2], [3]]}}`, "row 2 has 1 columns, wanted 2"},
		{"a matrix of shares", `{"f1": 1, "confusion_matrix": {"labels": ["a"], "matrix": [[0.5]]}}`, "row 1 holds 0.5, wanted counts"},
		{"a negative count", `{"f1": 1, "confusion_matrix": {"labels": ["a"], "matrix": [[-1]]}}`, "wanted counts"},
		{"a label that is a list", `{"f1": 1, "confusion_matrix": {"labels": [[]], "matrix": [[1]]}}`, "label 1 is a list"},
		{"a matrix of another form", `{"f1": 1, "confusion_matrix": [[1]]}`, "confusion_matrix is not"},
		{"null among the residuals", `{"f1": 1, "residuals": [1, null]}`, "number 2 is null"},
		{"residuals that are a text", `{"f1": 1, "residuals": "many"}`, "residuals is not a list of numbers"},
	} {
		t.Run(tt.phrase, func(t *testing.T) {
			_, err := cloud.ParseEvaluation("evaluation.json", []byte(tt.body))
			failsWith(t, err, fault.Model, tt.text)
			if fault.HintOf(err) == "" {
				t.Error("no hint")
			}
		})
	}
}

func FuzzParseEvaluation(f *testing.F) {
	for _, seed := range []string{
		`{"metrics": {"f1": 0.97}, "confusion_matrix": {"labels": ["a","b"], "matrix": [[1,2],[3,4]]}, "residuals": [0.5, -1]}`,
		`{"f1": 1e308, "confusion_matrix": {"labels": [0, true], "matrix": [[1,2],[3,4]]}}`,
		`{"f1": NaN}`, `{"a\"b": -Infinity}`, `{"f1": "`, `{"f1": 1e999}`, `[`, `{"metrics": {"metrics": 1}}`, "\"\\", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := cloud.ParseEvaluation("evaluation.json", body)
		if err != nil {
			if fault.KindOf(err) != fault.Model || fault.HintOf(err) == "" {
				t.Errorf("error of kind %d with hint %q: %v", fault.KindOf(err), fault.HintOf(err), err)
			}
			return
		}
		for name, value := range got.Metrics {
			if math.IsNaN(value) || math.IsInf(value, 0) {
				t.Errorf("metric %s is %v", name, value)
			}
		}
		text, err := json.Marshal(got)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := cloud.ParseEvaluation("evaluation.json", text)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if diff := cmp.Diff(got.Metrics, again.Metrics); diff != "" {
			t.Errorf("metrics change when they are written (-read +again):\n%s", diff)
		}
	})
}
