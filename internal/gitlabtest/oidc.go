package gitlabtest

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Issuer signs the ID tokens of jobs and publishes the keys to check them
// with, at the addresses where GitLab has them.
type Issuer struct {
	URL string // of the issuer, as the tokens name it

	key  *rsa.PrivateKey
	down bool
}

// keyID names the issuer's key.
const keyID = "key-of-the-test"

// StartIssuer starts an issuer that runs until the test ends.
func StartIssuer(t testing.TB) *Issuer {
	t.Helper()
	i, err := NewIssuer()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	i.URL = server.URL
	return i
}

// NewIssuer makes an issuer's handler, for those who listen themselves and set
// its URL.
func NewIssuer() (*Issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	return &Issuer{key: key}, err
}

// Claims are what a test says of a job; the rest is as GitLab says it.
type Claims struct {
	Subject  string // project_path:group/tiny:ref_type:branch:ref:main if ""
	Audience []string
	Issuer   string // the issuer itself if ""
	Issued   time.Time
	Life     time.Duration // an hour if 0
}

// Subject is the sub claim of a job on main.
const Subject = "project_path:group/tiny:ref_type:branch:ref:main"

// Token is an ID token in the form of GitLab's: RS256, with the claims of a job.
func (i *Issuer) Token(c Claims) (string, error) {
	if c.Subject == "" {
		c.Subject = Subject
	}
	if c.Issuer == "" {
		c.Issuer = i.URL
	}
	if c.Life == 0 {
		c.Life = time.Hour
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: i.key},
		(&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", keyID))
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience, ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(c.Issued), NotBefore: jwt.NewNumericDate(c.Issued.Add(-5 * time.Second)),
		Expiry: jwt.NewNumericDate(c.Issued.Add(c.Life)),
	}).Claims(map[string]any{
		"namespace_id": "7", "namespace_path": "group", "project_id": Project, "project_path": "group/tiny",
		"user_id": "1", "user_login": "somebody", "pipeline_id": "1001", "pipeline_source": "push", "job_id": "2002",
		"ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main", "ref_protected": "true",
	}).Serialize()
}

// Keys are the public keys, as GitLab publishes them.
func (i *Issuer) Keys() ([]byte, error) {
	return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: &i.key.PublicKey, KeyID: keyID, Algorithm: string(jose.RS256), Use: "sig"},
	}})
}

// Break has the issuer answer with errors of its own.
func (i *Issuer) Break() { i.down = true }

// ServeHTTP answers the discovery of OpenID Connect.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if i.down {
		http.Error(w, "Bad Gateway", http.StatusBadGateway)
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		write(w, http.StatusOK, map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/oauth/discovery/keys"})
	case "/oauth/discovery/keys":
		keys, err := i.Keys()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(keys)
	default:
		http.NotFound(w, r)
	}
}
