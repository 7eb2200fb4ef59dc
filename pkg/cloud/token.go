package cloud

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/secret"
)

// Claims are what an ID token says of itself. They are not checked: that is
// for those who trust its issuer.
type Claims struct {
	Issuer   string
	Subject  string
	Audience []string
	Issued   time.Time
	Expires  time.Time
}

// longestToken is how many bytes STS takes.
const longestToken = 20000

// ReadToken reads the claims of a token. Neither they nor an error hold the
// token itself.
func ReadToken(token secret.Value) (Claims, error) {
	parts := strings.Split(token.Reveal(), ".")
	if len(parts) != 3 || len(token.Reveal()) > longestToken {
		return Claims{}, noToken()
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return Claims{}, noToken()
	}
	var raw struct {
		Issuer   string   `json:"iss"`
		Subject  string   `json:"sub"`
		Audience audience `json:"aud"`
		Issued   float64  `json:"iat"`
		Expires  float64  `json:"exp"`
	}
	if err := json.Unmarshal(body, &raw); err != nil || raw.Issuer == "" || raw.Subject == "" {
		return Claims{}, noToken()
	}
	return Claims{
		Issuer: raw.Issuer, Subject: raw.Subject, Audience: raw.Audience,
		Issued: time.Unix(int64(raw.Issued), 0).UTC(), Expires: time.Unix(int64(raw.Expires), 0).UTC(),
	}, nil
}

func noToken() error {
	return fault.Newf(fault.Denied, "read AWS_ID_TOKEN: it is no ID token").
		Hintf("write it in the job as id_tokens: AWS_ID_TOKEN: {aud: https://gitlab.example.com}")
}

// audience is one audience or several.
type audience []string

// UnmarshalJSON reads both forms.
func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*a = audience{one}
		return nil
	}
	var many []string
	err := json.Unmarshal(text, &many)
	*a = many
	return err
}

// provider is the issuer as trust policies name it, without its scheme.
func (c Claims) provider() string {
	if _, name, ok := strings.Cut(c.Issuer, "://"); ok {
		return name
	}
	return c.Issuer
}

// defaultLife is how long a token of GitLab lives if its job has no timeout.
const defaultLife = 5 * time.Minute

// short says whether the token lives no longer than one of a job without timeout.
func (c Claims) short() bool { return c.Expires.Sub(c.Issued) <= defaultLife+30*time.Second }
