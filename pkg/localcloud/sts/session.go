package sts

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"gitlab.com/towline/towline/pkg/localcloud/protocol"
)

// temporary begins the access keys of temporary credentials, as in AWS.
const temporary = "ASIA"

// session is somebody who assumed a role. Nothing in it signs a request.
type session struct {
	Role    string    `json:"role"` // ARN
	ARN     string    `json:"arn"`  // arn:aws:sts::ACCOUNT:assumed-role/ROLE/NAME
	ID      string    `json:"id"`
	Token   string    `json:"token"` // sha256 of the session token, hexadecimal
	Expires time.Time `json:"expires"`
}

// credentials are what a session is used with.
type credentials struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string `xml:"SecretAccessKey"`
	SessionToken    string `xml:"SessionToken"`
	Expiration      string `xml:"Expiration"`
}

// assumedRole is the role in a session, as STS tells of it.
type assumedRole struct {
	Arn           string `xml:"Arn"`
	AssumedRoleID string `xml:"AssumedRoleId"`
}

// open begins a session.
func (s *Service) open(role Role, name string, length time.Duration) (credentials, assumedRole, error) {
	if err := s.prune(); err != nil {
		return credentials{}, assumedRole{}, err
	}
	given := credentials{
		AccessKeyID: temporary + rand.Text()[:16], SecretAccessKey: rand.Text() + rand.Text()[:14],
		SessionToken: rand.Text() + rand.Text() + rand.Text(),
	}
	expires := s.now().Add(length).UTC().Truncate(time.Second)
	given.Expiration = expires.Format(time.RFC3339)
	who := assumedRole{
		Arn:           "arn:aws:sts::" + accountOf(role.ARN) + ":assumed-role/" + roleName(role.ARN) + "/" + name,
		AssumedRoleID: "AROA" + strings.ToUpper(digest(role.ARN)[:17]) + ":" + name,
	}
	return given, who, s.sessions.Insert(given.AccessKeyID, session{
		Role: role.ARN, ARN: who.Arn, ID: who.AssumedRoleID, Token: digest(given.SessionToken), Expires: expires,
	})
}

// kept is how long a session that has ended is still told from one that never was.
const kept = 24 * time.Hour

// prune forgets sessions that ended long ago.
func (s *Service) prune() error {
	for _, name := range s.sessions.Names() {
		row, ok := s.sessions.Get(name)
		if !ok || s.now().Sub(row.Expires) < kept {
			continue
		}
		if _, err := s.sessions.Delete(name); err != nil {
			return err
		}
	}
	return nil
}

// Refuse says why the temporary credentials of a request to a service are no
// good; nil if they are, or if it was signed with others.
func (s *Service) Refuse(r *http.Request, service string) *protocol.Error {
	key := protocol.AccessKey(r)
	if !strings.HasPrefix(key, temporary) {
		return nil
	}
	unknown, expired := "UnrecognizedClientException", "ExpiredTokenException"
	switch service {
	case protocol.S3:
		unknown, expired = "InvalidAccessKeyId", "ExpiredToken"
	case protocol.STS:
		unknown, expired = "InvalidClientTokenId", "ExpiredToken"
	}
	known, ok := s.sessions.Get(key)
	token := r.Header.Get("X-Amz-Security-Token")
	if token == "" {
		token = r.URL.Query().Get("X-Amz-Security-Token")
	}
	switch {
	case !ok || subtle.ConstantTimeCompare([]byte(digest(token)), []byte(known.Token)) != 1:
		return &protocol.Error{Status: http.StatusForbidden, Code: unknown, Message: "The security token included in the request is invalid."}
	case !s.now().Before(known.Expires):
		return &protocol.Error{Status: http.StatusForbidden, Code: expired, Message: "The security token included in the request is expired"}
	}
	return nil
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
