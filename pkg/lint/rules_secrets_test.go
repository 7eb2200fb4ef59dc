package lint_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"gitlab.com/towline/towline/pkg/lint"
)

// The secrets of these tests are put together, so that no scanner finds them here.
const (
	accessKey = "AKIA" + "Q3EGR7UZX2MDN5VB"
	glToken   = "glpat" + "-x9Kf2mQ7vL4wZ8rT1nB6"
	random    = "x9Kf2mQ7" + "vL4wZ8rT1nB6"
)

var pem = "-----BEGIN RSA " + "PRIVATE KEY-----"

func TestSecretRules(t *testing.T) {
	one := func(name, text string) map[string]string { return map[string]string{name: text} }
	run(t, []ruleCase{
		{"a token of GitLab in YAML", "TL601", one("a.yaml", "a: 1\ntoken: "+glToken+"\n"), "", []string{"a.yaml:2"}},
		{"in a long line", "TL601", one("a.json", `{"a": "`+strings.Repeat("lorem ipsum ", 1000)+`", "b": "`+glToken+`"}`), "", []string{"a.json:1"}},
		{"in the output of a notebook", "TL601", one("a.ipynb", "{\"cells\": [{\"outputs\": [\n\"token=\\\""+glToken+"\\\"\\n\"\n]}]}"), "", []string{"a.ipynb:2"}},
		{"AWS's own example", "TL601", one("a.py", "key = 'AKIAIOSFODNN7EXAMPLE'\n"), "", nil},
		{"a private key", "TL601", one("a.txt", pem+"\n"+strings.Repeat("MIIEpAIBAAKCAQEA", 4)+"\n"), "", []string{"a.txt:1"}},
		{"a text about private keys", "TL601", one("a.py", "if line.startswith('"+pem+"'):\n    pass\n"), "", nil},
		{"allowed by gitleaks' comment", "TL601", one("a.py", "k = '"+glToken+"'  # gitleaks:allow\n"), "", nil},
		{"binary", "TL601", one("a.dat", "\x00"+accessKey), "", nil},
		{"an attribute is no value", "TL602", one("a.py", "key = win32api.RegEnumKey2x9K\n"), "", nil},
		{"in tests", "TL602", one("tests/a.py", "api_token = '"+random+"'\n"), "", nil},
		{"in YAML without quotes", "TL602", one("a.yml", "api_token: "+random+"\n"), "", []string{"a.yml:1"}},
		{"a template of variables", "TL603", one(".env.example", "DB_PASSWORD=hunter2\n"), "", nil},
		{"variables without secrets", "TL603", one(".env", "LOG_LEVEL=info\n"), "", nil},
		{"another environment", "TL603", one("svc/.env.prod", "export DB_PASSWORD='hunter2'\n"), "", []string{"svc/.env.prod"}},
	})
}

func TestNoReportHoldsASecret(t *testing.T) {
	repo := fstest.MapFS{}
	for name, text := range map[string]string{
		"a.py": "api_token = '" + random + "'\nx = '" + accessKey + "'\n", "b.yaml": "token: " + glToken + "\n", ".env": "API_TOKEN=" + random + "\n",
		"c.ipynb": "{\"cells\": [{\"cell_type\": \"code\", \"source\": [\n\"k = '" + glToken + "'\\n\"\n], \"outputs\": [{\"text\": [\"" + accessKey + "\"]}]}]}",
	} {
		repo[name] = &fstest.MapFile{Data: []byte(text)}
	}
	result, err := lint.Run(t.Context(), lint.Options{FS: repo, Profile: lint.Team})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, f := range result.Findings {
		for _, secret := range []string{random, accessKey, glToken} {
			if strings.Contains(f.Message+f.Source+f.Advice, secret) {
				t.Errorf("%s in %s repeats a secret: %q, %q", f.Rule, f.Path, f.Message, f.Source)
			}
		}
		if strings.HasPrefix(f.Rule, "TL60") {
			found++
		}
	}
	if found < 5 {
		t.Errorf("%d findings of secrets, want those of all four files", found)
	}
}
