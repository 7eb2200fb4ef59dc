package gitlabtest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// world is what calls change, besides jobs, tags and packages' bodies.
type world struct {
	last        int // number that was given
	packages    []*kept
	requests    []*MergeRequest
	notes       []*Note
	environment []*Environment
	deployments []*Deployment
	pipelines   []*Pipeline
	models      []*Model
}

// firstNumber is that of the first thing that is made.
const firstNumber = 5000

func newWorld() world { return world{last: firstNumber} }

// next is the number of a new thing.
func (w *world) next() int {
	w.last++
	return w.last
}

// limit is a limit of GitLab's on its clients.
type limit struct {
	name   string
	most   int
	window time.Duration
	silent bool // answers tell nothing of it, as of those of the application

	seen int
	ends time.Time
}

// Limit lets a client send so many requests in a window, and says so in each
// answer. The requests above are answered with 429.
func (s *Server) Limit(name string, most int, window time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = append(s.limits, &limit{name: name, most: most, window: window})
}

// LimitSilently is Limit for the limits whose answers have no headers.
func (s *Server) LimitSilently(most int, window time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = append(s.limits, &limit{most: most, window: window, silent: true})
}

// limited counts a request, and refuses it if it is one too many.
func (s *Server) limited(w http.ResponseWriter, _ *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.limits {
		now := time.Now()
		if now.After(l.ends) {
			l.seen, l.ends = 0, now.Add(l.window)
		}
		l.seen++
		if !l.silent {
			l.tell(w.Header())
		}
		if l.seen <= l.most {
			continue
		}
		if !l.silent {
			w.Header().Set("Retry-After", strconv.Itoa(int(time.Until(l.ends).Seconds()+1)))
			w.Header().Set("RateLimit-ResetTime", l.ends.UTC().Format(time.RFC1123))
		}
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, "Retry later\n")
		return true
	}
	return false
}

func (l *limit) tell(header http.Header) {
	header.Set("RateLimit-Name", l.name)
	header.Set("RateLimit-Limit", strconv.Itoa(l.most))
	header.Set("RateLimit-Observed", strconv.Itoa(l.seen))
	header.Set("RateLimit-Remaining", strconv.Itoa(max(l.most-l.seen, 0)))
	header.Set("RateLimit-Reset", strconv.FormatInt(l.ends.Unix(), 10))
}

// page cuts a list into the page that is asked for, and says which one follows.
func page[T any](w http.ResponseWriter, r *http.Request, all []T) []T {
	query := r.URL.Query()
	at, size := atoi(query.Get("page"), 1), min(atoi(query.Get("per_page"), 20), 100)
	from := min((at-1)*size, len(all))
	to := min(from+size, len(all))
	if to < len(all) {
		w.Header().Set("X-Next-Page", strconv.Itoa(at+1))
	}
	return append([]T{}, all[from:to]...)
}

// site is the address of the pages for people.
func (s *Server) site() string { return strings.TrimSuffix(s.API, "/api/v4") }

// getUser tells whose the token is. A job's token is nobody's.
func (s *Server) getUser(w http.ResponseWriter, r *http.Request) {
	who, _ := s.credential(r)
	if who.Project != 0 {
		tell(w, http.StatusUnauthorized, "401 Unauthorized")
		return
	}
	write(w, http.StatusOK, map[string]any{"id": who.User, "username": "user-" + strconv.Itoa(who.User)})
}
