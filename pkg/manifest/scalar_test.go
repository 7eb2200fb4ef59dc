package manifest_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"gitlab.com/towline/towline/pkg/manifest"
)

func TestDurationIsWrittenAsItIsRead(t *testing.T) {
	for _, tt := range []struct {
		text string
		want time.Duration
		back string
	}{
		{"90s", 90 * time.Second, "1m30s"},
		{"15m", 15 * time.Minute, "15m"},
		{"2h", 2 * time.Hour, "2h"},
		{"1h30m", 90 * time.Minute, "1h30m"},
		{"1h5s", time.Hour + 5*time.Second, "1h0m5s"},
		{"0s", 0, "0s"},
		{"672h", 28 * 24 * time.Hour, "672h"},
	} {
		var d manifest.Duration
		if err := yaml.Unmarshal([]byte(tt.text), &d); err != nil || time.Duration(d) != tt.want || d.String() != tt.back {
			t.Errorf("%s is read as %v, written as %s, %v; want %v and %s", tt.text, time.Duration(d), d, err, tt.want, tt.back)
		}
		data, err := json.Marshal(d)
		if err != nil || string(data) != `"`+tt.back+`"` {
			t.Errorf("Marshal(%s) = %s, %v", d, data, err)
		}
	}
	for _, text := range []string{"5", "1.5h", "2d", "-1h", "h", "[1h]", `""`} {
		var d manifest.Duration
		if err := yaml.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s is read as the duration %v", text, d)
		}
	}
}

func TestScalarsKeepTheTextOfTheFile(t *testing.T) {
	want := manifest.Scalars{"a": "010", "b": "1e-3", "c": "yes", "d": "", "e": "x: y"}
	var got manifest.Scalars
	if err := yaml.Unmarshal([]byte("a: 010\nb: 1e-3\nc: yes\nd: \"\"\ne: 'x: y'\n"), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("from YAML (-want +got):\n%s", diff)
	}
	got = nil
	if err := json.Unmarshal([]byte(`{"a":"010","b":"1e-3","c":"yes","d":"","e":"x: y"}`), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("from JSON (-want +got):\n%s", diff)
	}
	if err := json.Unmarshal([]byte(`{"n": 1e-3, "t": true}`), &got); err != nil || got["n"] != "1e-3" || got["t"] != "true" {
		t.Errorf("JSON numbers give %v, %v", got, err)
	}
	for _, text := range []string{`{"a": null}`, `{"a": [1]}`, `{"a": {}}`} {
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s gives %v as JSON, wanted an error", text, got)
		}
		if err := yaml.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s gives %v as YAML, wanted an error", text, got)
		}
	}
}
