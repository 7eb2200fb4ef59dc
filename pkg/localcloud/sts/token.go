package sts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"gitlab.com/towline/towline/pkg/localcloud/protocol"
)

const (
	fetchTime = 5 * time.Second // for an issuer to give its keys
	mostKeys  = 1 << 20         // bytes of an issuer's answer
)

// algorithms are those that AWS takes tokens in.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512}
}

const (
	invalidToken = "InvalidIdentityToken"
	noKey        = "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements"
)

// claims are what a trust policy can see of a token.
type claims struct {
	subject  string
	audience []string
	amr      []string
	provider Provider
}

// verify checks a token as AWS does: form, issuer, expiry, audience, signature.
func (s *Service) verify(ctx context.Context, raw, account string) (claims, error) {
	token, err := jwt.ParseSigned(raw, algorithms())
	var said jwt.Claims
	var more struct {
		AMR []string `json:"amr"`
	}
	if err == nil {
		err = token.UnsafeClaimsWithoutVerification(&said, &more)
	}
	if err != nil || said.Issuer == "" || said.Subject == "" || said.Expiry == nil {
		return claims{}, protocol.Errorf(invalidToken, "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	provider, ok := s.trust.provider(said.Issuer, account)
	if !ok {
		return claims{}, protocol.Errorf(invalidToken, "No OpenIDConnect provider found in your account for %s", said.Issuer)
	}
	now := s.now()
	if expiry := said.Expiry.Time(); !now.Before(expiry) {
		return claims{}, protocol.Errorf("ExpiredTokenException", "Token expired: current date/time %d must be before the expiration date/time %d",
			now.Unix(), expiry.Unix())
	}
	if said.NotBefore != nil && now.Add(leeway).Before(said.NotBefore.Time()) {
		return claims{}, protocol.Errorf(invalidToken, "Token is not valid yet: current date/time %d, not before %d", now.Unix(), said.NotBefore.Time().Unix())
	}
	if !slices.ContainsFunc(said.Audience, func(a string) bool { return slices.Contains(provider.ClientIDs, a) }) {
		return claims{}, protocol.Errorf(invalidToken, "Incorrect token audience")
	}
	keys, err := s.keys(ctx, provider)
	if err != nil {
		return claims{}, err
	}
	if err := signed(token, keys); err != nil {
		return claims{}, err
	}
	return claims{subject: said.Subject, audience: said.Audience, amr: more.AMR, provider: provider}, nil
}

// leeway is how far a token's beginning may lie ahead of this clock.
const leeway = time.Minute

// signed checks the signature with the key that the token names.
func signed(token *jwt.JSONWebToken, keys *jose.JSONWebKeySet) error {
	candidates := keys.Keys
	if id := token.Headers[0].KeyID; id != "" {
		candidates = keys.Key(id)
	}
	if len(candidates) == 0 {
		return protocol.Errorf(invalidToken, noKey)
	}
	for _, key := range candidates {
		if token.Claims(key.Key) == nil {
			return nil
		}
	}
	return protocol.Errorf(invalidToken, "Invalid signature on the ID Token")
}

// keys are the provider's public keys: those of its file, or what its issuer
// publishes at this moment.
func (s *Service) keys(ctx context.Context, p Provider) (*jose.JSONWebKeySet, error) {
	if p.keys != nil {
		return p.keys, nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	var discovery struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := s.get(ctx, p.URL+"/.well-known/openid-configuration", &discovery); err != nil {
		return nil, unreachable(err)
	}
	address, err := url.Parse(discovery.Keys)
	if err != nil || discovery.Issuer != p.URL || !safe(address) {
		return nil, protocol.Errorf(invalidToken, noKey)
	}
	var keys jose.JSONWebKeySet
	if err := s.get(ctx, discovery.Keys, &keys); err != nil {
		return nil, unreachable(err)
	}
	return &keys, nil
}

// unreachable is an issuer whose keys cannot be had: one that may answer next
// time is an IDPCommunicationError.
func unreachable(err error) error {
	var network net.Error
	if errors.Is(err, errBusy) || errors.As(err, &network) && network.Timeout() {
		return protocol.Errorf("IDPCommunicationError", "The identity provider could not be reached: %s", strings.Join(strings.Fields(err.Error()), " "))
	}
	return protocol.Errorf(invalidToken, noKey)
}

// errBusy is an issuer that answers with an error of its own.
var errBusy = errors.New("it is out of order")

func (s *Service) get(ctx context.Context, address string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := s.fetch.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	switch {
	case resp.StatusCode >= http.StatusInternalServerError:
		return fmt.Errorf("HTTP %d: %w", resp.StatusCode, errBusy)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, mostKeys)).Decode(into)
}
