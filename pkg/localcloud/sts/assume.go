package sts

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"gitlab.com/towline/towline/pkg/localcloud/protocol"
)

// Limits of STS.
const (
	shortestSession = 15 * time.Minute
	defaultSession  = time.Hour
	longestSession  = 12 * time.Hour
	chainedSession  = time.Hour // of a role that a role assumes
	mostTags        = 50
	longestToken    = 20000
)

var (
	sessionShape = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\w+=,.@-]{2,64}$`) })
	tagKeyShape  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$`) })
	tagShape     = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$`) })
)

type webIdentityAnswer struct {
	XMLName     struct{}    `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleWithWebIdentityResponse"`
	Credentials credentials `xml:"AssumeRoleWithWebIdentityResult>Credentials"`
	Subject     string      `xml:"AssumeRoleWithWebIdentityResult>SubjectFromWebIdentityToken"`
	Audience    string      `xml:"AssumeRoleWithWebIdentityResult>Audience"`
	Provider    string      `xml:"AssumeRoleWithWebIdentityResult>Provider"`
	User        assumedRole `xml:"AssumeRoleWithWebIdentityResult>AssumedRoleUser"`
	RequestID   string      `xml:"ResponseMetadata>RequestId"`
}

// assumeWithToken gives credentials for a token that the role's trust policy
// lets in.
func (s *Service) assumeWithToken(ctx context.Context, in input) (any, error) {
	arn, name, err := in.roleAndSession()
	if err != nil {
		return nil, err
	}
	raw := in.value("WebIdentityToken")
	if len(raw) < 4 || len(raw) > longestToken {
		return nil, invalid("webIdentityToken", "[not shown]", "Member must have length between 4 and "+strconv.Itoa(longestToken))
	}
	token, err := s.verify(ctx, raw, accountOf(arn))
	if err != nil {
		return nil, err
	}
	role, ok := s.trust.role(arn)
	prefix := token.provider.name() + ":"
	if !ok || !role.Trust.allows(request{
		action: "sts:AssumeRoleWithWebIdentity", kind: "Federated", principals: []string{token.provider.arn()},
		keys: conditionKeys(map[string][]string{
			prefix + "aud": token.audience, prefix + "sub": {token.subject}, prefix + "amr": token.amr, "sts:RoleSessionName": {name},
		}),
	}) {
		return nil, denied("Not authorized to perform sts:AssumeRoleWithWebIdentity")
	}
	length, err := in.duration(role.longest())
	if err != nil {
		return nil, err
	}
	given, who, err := s.open(role, name, length)
	return webIdentityAnswer{
		Credentials: given, Subject: token.subject, Audience: token.audience[0], Provider: token.provider.arn(), User: who, RequestID: requestID,
	}, err
}

type assumeRoleAnswer struct {
	XMLName     struct{}    `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleResponse"`
	Credentials credentials `xml:"AssumeRoleResult>Credentials"`
	User        assumedRole `xml:"AssumeRoleResult>AssumedRoleUser"`
	RequestID   string      `xml:"ResponseMetadata>RequestId"`
}

// assumeRole gives credentials to a caller that the role's trust policy names.
func (s *Service) assumeRole(_ context.Context, in input) (any, error) {
	arn, name, err := in.roleAndSession()
	if err != nil {
		return nil, err
	}
	tags, err := in.tags()
	if err != nil {
		return nil, err
	}
	keys := map[string][]string{"sts:RoleSessionName": {name}, "aws:PrincipalArn": {in.caller.arn}, "aws:PrincipalAccount": {in.caller.account}}
	if in.caller.role != "" {
		keys["aws:PrincipalArn"] = []string{in.caller.role}
	}
	if id := in.value("ExternalId"); id != "" {
		keys["sts:ExternalId"] = []string{id}
	}
	for key, value := range tags {
		keys["aws:RequestTag/"+key] = []string{value}
		keys["aws:TagKeys"] = append(keys["aws:TagKeys"], key)
	}
	actions := []string{"sts:AssumeRole"}
	if len(tags) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	role, ok := s.trust.role(arn)
	for _, action := range actions {
		asked := request{action: action, kind: "AWS", principals: in.caller.principals(), keys: conditionKeys(keys)}
		if !ok || !role.Trust.allows(asked) {
			return nil, denied("User: " + in.caller.arn + " is not authorized to perform: " + action + " on resource: " + arn)
		}
	}
	longest := role.longest()
	if in.caller.role != "" {
		longest = chainedSession
	}
	length, err := in.duration(longest)
	if err != nil {
		return nil, err
	}
	given, who, err := s.open(role, name, length)
	return assumeRoleAnswer{Credentials: given, User: who, RequestID: requestID}, err
}

// roleAndSession are the two parameters that every session begins with.
func (in input) roleAndSession() (role, session string, err error) {
	role, session = in.value("RoleArn"), in.value("RoleSessionName")
	switch {
	case len(role) < 20 || len(role) > 2048:
		return "", "", invalid("roleArn", role, "Member must have length between 20 and 2048")
	case !sessionShape().MatchString(session):
		return "", "", invalid("roleSessionName", session, `Member must satisfy regular expression pattern: [\w+=,.@-]{2,64}`)
	}
	return role, session, nil
}

// duration is how long the session is to be.
func (in input) duration(longest time.Duration) (time.Duration, error) {
	text := in.value("DurationSeconds")
	if text == "" {
		return defaultSession, nil
	}
	seconds, err := strconv.Atoi(text)
	length := time.Duration(seconds) * time.Second
	switch {
	case err != nil || length < shortestSession || length > longestSession:
		return 0, invalid("durationSeconds", text, "Member must have value between 900 and 43200")
	case length > longest:
		return 0, protocol.Errorf("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	return length, nil
}

// tags are those of the session.
func (in input) tags() (map[string]string, error) {
	tags := map[string]string{}
	for i := 1; ; i++ {
		prefix := "Tags.member." + strconv.Itoa(i) + "."
		key, value := in.value(prefix+"Key"), in.value(prefix+"Value")
		switch {
		case key == "" && value == "":
			return tags, nil
		case i > mostTags:
			return nil, invalid("tags", strconv.Itoa(i), "Member must have length less than or equal to 50")
		case !tagKeyShape().MatchString(key):
			return nil, invalid("tags."+strconv.Itoa(i)+".member.key", key, `Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+`)
		case !tagShape().MatchString(value):
			return nil, invalid("tags."+strconv.Itoa(i)+".member.value", value, `Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]*`)
		}
		tags[key] = value
	}
}

func invalid(member, value, rule string) error {
	return protocol.Errorf("ValidationError", "1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: %s", value, member, rule)
}

func denied(message string) error {
	return &protocol.Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: message}
}

func conditionKeys(keys map[string][]string) map[string][]string {
	lower := make(map[string][]string, len(keys))
	for key, values := range keys {
		lower[strings.ToLower(key)] = values
	}
	return lower
}
