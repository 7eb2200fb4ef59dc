// Package sts is the Security Token Service of the local cloud: who am I, and
// the roles that tokens of an identity provider and other roles may assume.
//
// In come query requests; out go identities, temporary credentials, or the
// errors by which AWS refuses them. It checks a token's signature, issuer,
// audience, subject and expiry against the trust policies it was given. It does
// not check how requests are signed, and knows no policies but those of trust.
package sts

import (
	"context"
	"net/http"
	"path/filepath"
	"time"

	"gitlab.com/towline/towline/pkg/localcloud/protocol"
	"gitlab.com/towline/towline/pkg/localcloud/store"
	"gitlab.com/towline/towline/pkg/wire"
)

// Options say what the service knows.
type Options struct {
	Dir     string // of the sessions it gave out
	Account string // of those who sign with no temporary credentials
	Trust   Trust
	Now     func() time.Time
}

// Service answers for one account, and for the roles of its trust.
type Service struct {
	account  string
	trust    Trust
	sessions *store.Table[session]
	now      func() time.Time
	fetch    *wire.Client
}

// New reads the sessions that are kept, and forgets those that have ended.
func New(o Options) (*Service, error) {
	sessions, err := store.Open[session](filepath.Join(o.Dir, "sessions"))
	if err != nil {
		return nil, err
	}
	s := &Service{
		account: o.Account, trust: o.Trust, sessions: sessions, now: o.Now,
		fetch: wire.New(wire.Options{UserAgent: "towline", Attempts: 2, MinWait: 100 * time.Millisecond, Answer: fetchTime}),
	}
	return s, s.prune()
}

// Handler serves the operations.
func (s *Service) Handler() http.Handler {
	operations := map[string]func(context.Context, input) (any, error){
		"GetCallerIdentity":         s.identity,
		"AssumeRole":                s.assumeRole,
		"AssumeRoleWithWebIdentity": s.assumeWithToken,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, protocol.MaxBody)
		action := r.FormValue("Action")
		operation, ok := operations[action]
		if !ok {
			protocol.WriteQueryError(w, protocol.Errorf("InvalidAction", "The local cloud has no operation %s in sts.", action))
			return
		}
		answer, err := operation(r.Context(), input{r.FormValue, s.caller(r)})
		if err != nil {
			protocol.WriteQueryError(w, err)
			return
		}
		protocol.WriteXML(w, http.StatusOK, answer)
	})
}

// input is a request: its parameters, and who sends it.
type input struct {
	value  func(name string) string
	caller caller
}

// caller is who signed a request.
type caller struct {
	account, arn, id string
	role             string // ARN of the role, if it is a session of one
}

// caller finds the session of a request's access key; everybody else is the
// account's own user.
func (s *Service) caller(r *http.Request) caller {
	if known, ok := s.sessions.Get(protocol.AccessKey(r)); ok {
		return caller{account: accountOf(known.Role), arn: known.ARN, id: known.ID, role: known.Role}
	}
	return caller{account: s.account, arn: "arn:aws:iam::" + s.account + ":user/towline", id: "AIDATOWLINELOCAL"}
}

// principals are the names by which a trust policy can mean the caller.
func (c caller) principals() []string {
	names := []string{c.arn, c.account, "arn:aws:iam::" + c.account + ":root"}
	if c.role != "" {
		names = append(names, c.role)
	}
	return names
}

type identity struct {
	XMLName   struct{} `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
	Arn       string   `xml:"GetCallerIdentityResult>Arn"`
	UserID    string   `xml:"GetCallerIdentityResult>UserId"`
	Account   string   `xml:"GetCallerIdentityResult>Account"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

const requestID = "00000000-0000-0000-0000-000000000000"

func (s *Service) identity(_ context.Context, in input) (any, error) {
	return identity{Arn: in.caller.arn, UserID: in.caller.id, Account: in.caller.account, RequestID: requestID}, nil
}
