package sts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud/protocol"
)

// Trust is whom the local cloud's roles trust: identity providers as IAM knows
// them, and roles with their trust policies. The zero value trusts nobody.
type Trust struct {
	Providers []Provider `json:"providers"`
	Roles     []Role     `json:"roles"`
}

// Provider is an OpenID Connect provider of an account.
type Provider struct {
	URL       string   `json:"url"`               // the issuer: https://gitlab.example.com
	Account   string   `json:"account,omitempty"` // that it is set up in; that of the local cloud if ""
	ClientIDs []string `json:"client_ids"`        // audiences
	JWKS      string   `json:"jwks,omitempty"`    // file with its public keys; asked of the issuer if ""

	keys *jose.JSONWebKeySet // those of the file
}

// Role is a role that can be assumed.
type Role struct {
	ARN                string `json:"arn"`
	MaxSessionDuration int    `json:"max_session_duration,omitempty"` // seconds; 3600 if 0
	Trust              policy `json:"trust"`
}

// mostTrust is how large a trust file may be, in bytes.
const mostTrust = 1 << 20

// LoadTrust reads a trust file; "" is a trust in nobody. Paths in it count from
// its folder. account is that of providers which name none.
func LoadTrust(path, account string) (Trust, error) {
	if path == "" {
		return Trust{}, nil
	}
	text, err := readLimited(path)
	if err != nil {
		return Trust{}, fault.Newf(fault.Missing, "read the trust file: %w", err).
			Hintf("name a file of the form that docs/oidc.md shows")
	}
	trust, err := parseTrust(text, account)
	if err == nil {
		err = trust.readKeys(filepath.Dir(path))
	}
	if err != nil {
		return Trust{}, fault.Newf(fault.Repository, "read the trust file %s: %w", path, err).
			Hintf("correct it: docs/oidc.md shows its form")
	}
	return trust, nil
}

func readLimited(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > mostTrust {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", path, mostTrust)
	}
	return os.ReadFile(path)
}

// parseTrust reads and checks everything but the files that it names.
func parseTrust(text []byte, account string) (Trust, error) {
	var trust Trust
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&trust); err != nil {
		return Trust{}, err
	}
	if decoder.More() {
		return Trust{}, errors.New("there is something behind the object")
	}
	for i := range trust.Providers {
		p := &trust.Providers[i]
		if p.Account == "" {
			p.Account = account
		}
		if err := p.check(); err != nil {
			return Trust{}, err
		}
	}
	seen := map[string]bool{}
	for _, role := range trust.Roles {
		if err := role.check(); err != nil {
			return Trust{}, err
		}
		if seen[role.ARN] {
			return Trust{}, fmt.Errorf("role %s: it is there twice", role.ARN)
		}
		seen[role.ARN] = true
	}
	return trust, nil
}

var (
	accountShape = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9]{12}$`) })
	roleShape    = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,64}$`)
	})
)

func (p Provider) check() error {
	u, err := url.Parse(p.URL)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(p.URL, "/"):
		return fmt.Errorf("provider %q: wanted an address such as https://gitlab.example.com, without / at its end", p.URL)
	case !safe(u):
		return fmt.Errorf("provider %s: wanted https, or http on this machine", p.URL)
	case !accountShape().MatchString(p.Account):
		return fmt.Errorf("provider %s: account %q: wanted 12 digits", p.URL, p.Account)
	case len(p.ClientIDs) == 0:
		return fmt.Errorf("provider %s: wanted client_ids, the audiences of its tokens", p.URL)
	}
	return nil
}

// safe says whether keys that come from an address can be trusted.
func safe(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && protocol.Loopback(u.Hostname())
}

// name is the issuer without its scheme, as in ARNs and condition keys.
func (p Provider) name() string {
	_, name, _ := strings.Cut(p.URL, "://")
	return name
}

// arn is the provider as the Principal of a trust policy names it.
func (p Provider) arn() string { return "arn:aws:iam::" + p.Account + ":oidc-provider/" + p.name() }

func (r Role) check() error {
	switch {
	case !roleShape().MatchString(r.ARN):
		return fmt.Errorf("role %q: wanted an ARN such as arn:aws:iam::123456789012:role/towline", r.ARN)
	case r.MaxSessionDuration != 0 && (r.MaxSessionDuration < 3600 || r.MaxSessionDuration > 43200):
		return fmt.Errorf("role %s: max_session_duration %d: wanted 3600 to 43200 seconds", r.ARN, r.MaxSessionDuration)
	}
	if err := r.Trust.check(); err != nil {
		return fmt.Errorf("role %s: trust: %w", r.ARN, err)
	}
	return nil
}

// longest is how long a session of the role may be.
func (r Role) longest() time.Duration {
	if r.MaxSessionDuration == 0 {
		return time.Hour
	}
	return time.Duration(r.MaxSessionDuration) * time.Second
}

// readKeys reads the key files that providers name.
func (t *Trust) readKeys(dir string) error {
	for i := range t.Providers {
		p := &t.Providers[i]
		if p.JWKS == "" {
			continue
		}
		path := p.JWKS
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		text, err := readLimited(path)
		if err != nil {
			return fmt.Errorf("provider %s: jwks: %w", p.URL, err)
		}
		if err := json.Unmarshal(text, &p.keys); err != nil || p.keys == nil || len(p.keys.Keys) == 0 {
			return fmt.Errorf("provider %s: jwks: %s is no JSON Web Key Set", p.URL, path)
		}
	}
	return nil
}

// role finds a role by its ARN.
func (t Trust) role(arn string) (Role, bool) {
	for _, role := range t.Roles {
		if role.ARN == arn {
			return role, true
		}
	}
	return Role{}, false
}

// provider finds the provider of an issuer in an account.
func (t Trust) provider(issuer, account string) (Provider, bool) {
	for _, p := range t.Providers {
		if p.URL == issuer && p.Account == account {
			return p, true
		}
	}
	return Provider{}, false
}

// accountOf is the account in an ARN, or "".
func accountOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[4]
	}
	return ""
}

// roleName is the name of a role without its path.
func roleName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
