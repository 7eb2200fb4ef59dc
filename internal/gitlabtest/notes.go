package gitlabtest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"unicode/utf8"
)

// MergeRequest is a merge request.
type MergeRequest struct {
	Project int
	IID     int
	Locked  bool   // nobody below Developer may write notes
	Merged  string // the commit by which it came to its branch; "" while it is open
	Target  string // main if ""
}

// Note is a note on a merge request.
type Note struct {
	Project int
	Request int // iid
	ID      int
	Author  int
	Body    string
	System  bool // GitLab's own
	Edits   int
}

// mostNote is how many characters a note may have.
const mostNote = 1_000_000

// AddMergeRequest makes a merge request.
func (s *Server) AddMergeRequest(m MergeRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Target == "" {
		m.Target = "main"
	}
	s.world.requests = append(s.world.requests, &m)
}

// AddNote makes a note, as another client would.
func (s *Server) AddNote(n Note) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n.ID = s.world.next()
	s.world.notes = append(s.world.notes, &n)
}

// Notes are the notes there are, oldest first.
func (s *Server) Notes() []Note {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Note
	for _, n := range s.world.notes {
		all = append(all, *n)
	}
	return all
}

func (s *Server) noteCalls() map[string]http.HandlerFunc {
	reads := power{jobs: true, role: Guest, feature: "merge_requests"}
	writes := power{role: Guest, feature: "merge_requests"}
	return map[string]http.HandlerFunc{
		"GET /merge_requests/{iid}/notes":              s.with(reads, s.listNotes),
		"POST /merge_requests/{iid}/notes":             s.with(writes, s.postNote),
		"PUT /merge_requests/{iid}/notes/{note}":       s.with(writes, s.putNote),
		"GET /repository/commits/{sha}/merge_requests": s.with(power{role: Guest}, s.listMergeRequests),
	}
}

// request finds a merge request; the server is locked.
func (s *Server) request(at access, r *http.Request) *MergeRequest {
	for _, m := range s.world.requests {
		if m.Project == at.project.ID && strconv.Itoa(m.IID) == r.PathValue("iid") {
			return m
		}
	}
	return nil
}

func (n *Note) describe() map[string]any {
	return map[string]any{"id": n.ID, "body": n.Body, "system": n.System, "author": map[string]int{"id": n.Author}}
}

func (s *Server) listNotes(w http.ResponseWriter, r *http.Request, at access) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.request(at, r)
	if m == nil {
		tell(w, http.StatusNotFound, "404 Not found")
		return
	}
	var all []map[string]any
	for _, n := range s.world.notes {
		if n.Project == m.Project && n.Request == m.IID {
			all = append(all, n.describe())
		}
	}
	if r.URL.Query().Get("sort") != "asc" { // newest first, unless asked otherwise
		for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
			all[i], all[j] = all[j], all[i]
		}
	}
	write(w, http.StatusOK, page(w, r, all))
}

// text is the body of a note that is sent, if GitLab takes it.
func text(w http.ResponseWriter, r *http.Request) (string, bool) {
	var in struct {
		Body string `json:"body"`
	}
	switch err := json.NewDecoder(r.Body).Decode(&in); {
	case err != nil || in.Body == "":
		write(w, http.StatusBadRequest, map[string]string{"error": "body is missing"})
	case utf8.RuneCountInString(in.Body) > mostNote:
		tell(w, http.StatusBadRequest, "400 Bad request - Note is too long (maximum is 1000000 characters)")
	default:
		return in.Body, true
	}
	return "", false
}

func (s *Server) postNote(w http.ResponseWriter, r *http.Request, at access) {
	body, ok := text(w, r)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.request(at, r)
	switch {
	case m == nil:
		tell(w, http.StatusNotFound, "404 Not found")
		return
	case m.Locked && at.who.Role == Guest:
		tell(w, http.StatusForbidden, "403 Forbidden")
		return
	}
	n := &Note{Project: m.Project, Request: m.IID, ID: s.world.next(), Author: at.who.User, Body: body}
	s.world.notes = append(s.world.notes, n)
	write(w, http.StatusCreated, n.describe())
}

// putNote changes a note: of somebody else, a Maintainer may.
func (s *Server) putNote(w http.ResponseWriter, r *http.Request, at access) {
	body, ok := text(w, r)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.world.notes {
		if n.Project != at.project.ID || strconv.Itoa(n.Request) != r.PathValue("iid") || strconv.Itoa(n.ID) != r.PathValue("note") {
			continue
		}
		if n.Author != at.who.User && at.who.Role != Maintainer {
			tell(w, http.StatusForbidden, "403 Forbidden")
			return
		}
		n.Body, n.Edits = body, n.Edits+1
		write(w, http.StatusOK, n.describe())
		return
	}
	tell(w, http.StatusNotFound, "404 Note Not Found")
}

func (s *Server) listMergeRequests(w http.ResponseWriter, r *http.Request, at access) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []map[string]any{}
	for _, m := range s.world.requests {
		if m.Project == at.project.ID && m.Merged != "" && m.Merged == r.PathValue("sha") {
			found = append(found, map[string]any{"iid": m.IID, "state": "merged", "target_branch": m.Target})
		}
	}
	write(w, http.StatusOK, found)
}
