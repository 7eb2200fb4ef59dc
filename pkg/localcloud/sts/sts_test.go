package sts_test

import (
	"os"
	"path/filepath"
	"testing"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud/sts"
)

// FuzzTrust reads files that anybody may have written: a mistake is the
// repository's, and never a crash.
func FuzzTrust(f *testing.F) {
	f.Add(`{"providers": [{"url": "https://gitlab.example.com", "client_ids": ["x"], "jwks": "trust.json"}]}`)
	f.Add(`{"roles": [{"arn": "arn:aws:iam::111111111111:role/r", "trust": {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:*",
		"Condition": {"ForAnyValue:StringLikeIfExists": {"gitlab.example.com:sub": ["project_path:*"]}}}]}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "trust.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := sts.LoadTrust(path, "000000000000"); err != nil && fault.KindOf(err) != fault.Repository {
			t.Errorf("LoadTrust(%q) = %v (%v), want a fault of the repository", text, err, fault.KindOf(err))
		}
	})
}

func TestAFileThatIsNotThere(t *testing.T) {
	_, err := sts.LoadTrust(filepath.Join(t.TempDir(), "none.json"), "000000000000")
	if fault.KindOf(err) != fault.Missing {
		t.Errorf("LoadTrust = %v (%v), want a missing file", err, fault.KindOf(err))
	}
}
