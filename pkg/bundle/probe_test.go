package bundle_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
)

const probedImage = stableName + "/shop/risk"

// watched notes the requests to a registry's repository, and lets refuse answer first.
type watched struct {
	mu     sync.Mutex
	seen   []string
	refuse func(w http.ResponseWriter, r *http.Request) bool
}

// before stands before the registry.
func (p *watched) before(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path == "/v2/" {
		return false
	}
	p.mu.Lock()
	p.seen = append(p.seen, r.Method)
	p.mu.Unlock()
	return p.refuse != nil && p.refuse(w, r)
}

// saying answers requests of a method.
func saying(method string, status int, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
}

const deniedBody = `{"errors": [{"code": "DENIED", "message": "User: me is not authorized to perform: ecr:InitiateLayerUpload"}]}`

func TestMayPush(t *testing.T) {
	for _, tt := range []struct {
		name   string
		refuse func(http.ResponseWriter, *http.Request) bool
		left   bool
		kind   fault.Kind // 0 for none
		seen   string
	}{
		{"begun and cancelled", saying(http.MethodDelete, http.StatusNoContent, ""), false, 0, "POST DELETE"},
		{"a registry that cancels no uploads", saying(http.MethodDelete, http.StatusMethodNotAllowed, `{}`), true, 0, "POST DELETE"},
		{"not allowed", saying(http.MethodPost, http.StatusForbidden, deniedBody), false, fault.Denied, "POST"},
		{"no repository", saying(http.MethodPost, http.StatusNotFound, `{"errors": [{"code": "NAME_UNKNOWN"}]}`), false, fault.Missing, "POST"},
		{"an upload that goes on nowhere", saying(http.MethodPost, http.StatusAccepted, ""), true, fault.Remote, "POST"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &watched{refuse: tt.refuse}
			o, _ := serve(t, options(t), p.before)
			left, err := bundle.New(o).MayPush(t.Context(), probedImage)
			if left != tt.left || (err == nil) != (tt.kind == 0) || err != nil && fault.KindOf(err) != tt.kind {
				t.Errorf("MayPush = %v, %v, want %v and kind %d", left, err, tt.left, tt.kind)
			}
			if got := strings.Join(p.seen, " "); got != tt.seen {
				t.Errorf("requests %s, want %s", got, tt.seen)
			}
		})
	}
}

func TestMayPull(t *testing.T) {
	for _, tt := range []struct {
		name   string
		refuse func(http.ResponseWriter, *http.Request) bool
		kind   fault.Kind // 0 for none
	}{
		{"a tag that is not there", nil, 0},
		{"not allowed", saying(http.MethodGet, http.StatusForbidden, deniedBody), fault.Denied},
		{"no login", saying(http.MethodGet, http.StatusUnauthorized, `{}`), fault.Denied},
		{"a registry that is down", saying(http.MethodGet, http.StatusBadGateway, ``), fault.Remote},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, _ := serve(t, options(t), (&watched{refuse: tt.refuse}).before)
			err := bundle.New(o).MayPull(t.Context(), probedImage)
			if (err == nil) != (tt.kind == 0) || err != nil && fault.KindOf(err) != tt.kind {
				t.Errorf("MayPull = %v, want kind %d", err, tt.kind)
			}
		})
	}
}

func TestProbesOfNoRepository(t *testing.T) {
	b := bundle.New(options(t))
	if err := b.MayPull(t.Context(), "UPPER/case"); fault.KindOf(err) != fault.Repository {
		t.Errorf("MayPull = %v", err)
	}
	if _, err := b.MayPush(t.Context(), "UPPER/case"); fault.KindOf(err) != fault.Repository {
		t.Errorf("MayPush = %v", err)
	}
}
