package protocol

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// The services a request can be for, by the names they are signed with, and
// the two that are told by their paths.
const (
	S3        = "s3"
	SageMaker = "sagemaker"
	Runtime   = "sagemaker-runtime"
	STS       = "sts"
	Logs      = "logs"
	Registry  = "registry"
)

// Service finds the service of a request: from the scope it was signed for,
// else from its target, else from its path; what is left is S3's.
func Service(r *http.Request) string {
	name := scope(r)
	target := r.Header.Get("X-Amz-Target")
	switch {
	case name == SageMaker && target == "" && strings.HasPrefix(r.URL.Path, "/endpoints/"):
		return Runtime
	case name != "":
		return name
	case strings.HasPrefix(target, "SageMaker."):
		return SageMaker
	case strings.HasPrefix(target, "Logs_20140328."):
		return Logs
	case target != "":
		service, _, _ := strings.Cut(target, ".")
		return service
	case r.URL.Path == "/v2" || strings.HasPrefix(r.URL.Path, "/v2/"):
		return Registry
	case strings.HasPrefix(r.URL.Path, "/endpoints/") && r.Method == http.MethodPost:
		return Runtime
	case isQuery(r):
		return STS
	}
	return S3
}

// Refuse answers a request for a service that is not there, in the form that
// its client reads.
func Refuse(w http.ResponseWriter, r *http.Request, service string) {
	if err := UnknownOperation(service, ""); isQuery(r) {
		WriteQueryError(w, err)
	} else {
		WriteError(w, err)
	}
}

// Deny answers a request to a service with an error, in the form that the
// service's clients read.
func Deny(w http.ResponseWriter, r *http.Request, service string, err error) {
	switch {
	case service == S3:
		writeS3Error(w, r, err)
	case service == STS || isQuery(r):
		WriteQueryError(w, err)
	default:
		WriteError(w, err)
	}
}

func isQuery(r *http.Request) bool {
	form := strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
	return r.URL.Path == "/" && (r.Method == http.MethodPost && form || r.URL.Query().Has("Action"))
}

// scope is the service in the credential scope of a signature.
func scope(r *http.Request) string {
	if parts := credential(r); parts != nil {
		return parts[len(parts)-2]
	}
	return ""
}

// AccessKey is whose signature a request bears: the id of an access key, or "".
func AccessKey(r *http.Request) string {
	if parts := credential(r); parts != nil {
		return parts[0]
	}
	return ""
}

// credential is what a request was signed with:
// <key>/<date>/<region>/<service>/aws4_request.
func credential(r *http.Request) []string {
	text := r.URL.Query().Get("X-Amz-Credential")
	if _, after, found := strings.Cut(r.Header.Get("Authorization"), "Credential="); found {
		text, _, _ = strings.Cut(after, ",")
	}
	parts := strings.Split(text, "/")
	if len(parts) < 5 || parts[len(parts)-1] != "aws4_request" {
		return nil
	}
	return parts
}

// Local says whether a request came for this machine by a name that no other
// site can give to it, and not from a page of another site.
func Local(r *http.Request, names ...string) bool {
	if !localHost(r.Host, names) {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	from, err := url.Parse(origin)
	return err == nil && strings.EqualFold(from.Host, r.Host)
}

func localHost(hostport string, names []string) bool {
	host := Hostname(hostport)
	for _, name := range names {
		if host == name {
			return true
		}
	}
	return Loopback(host)
}

// Loopback says whether a host name is of this machine alone: a loopback
// address, localhost, or a name below it (RFC 6761).
func Loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback()
}

// Hostname is the host without its port, in lower case.
func Hostname(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
