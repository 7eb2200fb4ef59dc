package leaks_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/zricethezav/gitleaks/v8/config"

	"gitlab.com/towline/towline/pkg/lint/leaks"
)

// Secrets are put together, so that no scanner finds them here.
const token = "glpat" + "-x9Kf2mQ7vL4wZ8rT1nB6"

func TestTheRulesAreThoseOfTheModule(t *testing.T) {
	kept, err := os.ReadFile("gitleaks/gitleaks.toml")
	if err != nil {
		t.Fatal(err)
	}
	if string(kept) != config.DefaultConfig {
		t.Error("gitleaks/gitleaks.toml differs from the module in go.mod; copy config/gitleaks.toml and LICENSE out of it")
	}
}

func TestAllRulesOfGitleaksAreRead(t *testing.T) {
	if _, err := leaks.New(); err != nil {
		t.Fatal(err)
	}
}

func TestPlacesOfLeaks(t *testing.T) {
	finder, err := leaks.New()
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("function a(){} ", 20_000)
	for _, tt := range []struct {
		name, path string
		lines      []string
		line       int // 0: none
		column     int
	}{
		{"a token", "a.yaml", []string{"a", "token: " + token}, 2, 8},
		{"far along a long line", "a.js", []string{long + "x='" + token + "'"}, 1, len(long) + 4},
		{"a path that gitleaks leaves alone", "node_modules/a/b.js", []string{"x='" + token + "'"}, 0, 0},
		{"nothing", "a.py", []string{"", "import os", strings.Repeat("=", 100)}, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := finder.Find(tt.path, tt.lines)
			if tt.line == 0 {
				if len(got) > 0 {
					t.Errorf("found %+v, want nothing", got)
				}
				return
			}
			if len(got) != 1 || got[0].Line != tt.line || got[0].Column != tt.column || got[0].End != tt.column+len(token) {
				t.Errorf("found %+v, want one at %d:%d", got, tt.line, tt.column)
			}
		})
	}
}

func TestMinifiedCodeHasAnEnd(t *testing.T) {
	finder, err := leaks.New()
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat(`{"apiKey":a.b1c2d3e4f5g6,"token":"id-0a1b2c3d4e5f"},`, 80_000) // 4 MB
	start := time.Now()
	finder.Find("bundle.min.js", []string{line})
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %s for 4 MB, want a bounded time", took)
	}
}

func FuzzFind(f *testing.F) {
	finder, err := leaks.New()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("a = '" + token + "'\n")
	f.Add("-----BEGIN RSA " + "PRIVATE KEY-----\\nMIIEpAIBAAKCAQEA")
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Split(text, "\n")
		for _, leak := range finder.Find("a.txt", lines) {
			if leak.Line < 1 || leak.Line > len(lines) || leak.Column < 1 || leak.End-1 > len(lines[leak.Line-1]) {
				t.Errorf("leak %+v is not in the text", leak)
			}
		}
	})
}
