package gitlabtest

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
)

// Tag is a tag, as the API tells of it.
type Tag struct {
	Name    string `json:"name"`
	Message string `json:"message"`
	Target  string `json:"target"`
}

// BeforeRelease is called once, when the next release is about to be made.
func (s *Server) BeforeRelease(f func(tag string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

// PutTag makes a tag, as another client would.
func (s *Server) PutTag(tag Tag) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tags[tag.Name] = tag
}

// Releases are the descriptions of the releases there are, by tag.
func (s *Server) Releases() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]string{}
	for tag, text := range s.releases {
		all[tag] = text
	}
	return all
}

// ownProject locks the server for a call about tags and releases.
func (s *Server) ownProject(f http.HandlerFunc) http.HandlerFunc {
	return s.within(func(w http.ResponseWriter, r *http.Request, at access) {
		if at.project.ID != OwnProject {
			tell(w, http.StatusNotFound, "404 Project Not Found")
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		f(w, r)
	})
}

func (s *Server) deleteRelease(w http.ResponseWriter, r *http.Request) {
	delete(s.releases, r.PathValue("tag"))
	tell(w, http.StatusOK, "deleted")
}

func (s *Server) getTag(w http.ResponseWriter, r *http.Request) {
	tag, ok := s.find(r.PathValue("tag"))
	if !ok {
		tell(w, http.StatusNotFound, "404 Tag Not Found")
		return
	}
	write(w, http.StatusOK, tag)
}

func (s *Server) find(name string) (Tag, bool) {
	if s.repo == "" {
		tag, ok := s.tags[name]
		return tag, ok
	}
	target, err := s.git("rev-parse", "--verify", "--quiet", "refs/tags/"+name+"^{commit}")
	if err != nil {
		return Tag{}, false
	}
	message, err := s.git("for-each-ref", "--format=%(if:equals=tag)%(objecttype)%(then)%(contents)%(end)", "refs/tags/"+name)
	return Tag{Name: name, Message: message, Target: target}, err == nil
}

func (s *Server) postRelease(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Tag         string `json:"tag_name"`
		Ref         string `json:"ref"`
		Message     string `json:"tag_message"`
		Description string `json:"description"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Tag == "" {
		tell(w, http.StatusBadRequest, "tag_name is missing")
		return
	}
	if s.before != nil {
		before := s.before
		s.before = nil
		s.mu.Unlock()
		before(in.Tag)
		s.mu.Lock()
	}
	if _, twice := s.releases[in.Tag]; twice {
		tell(w, http.StatusConflict, "Release already exists")
		return
	}
	if _, there := s.find(in.Tag); !there {
		if err := s.make(Tag{Name: in.Tag, Message: in.Message, Target: in.Ref}); err != nil {
			tell(w, http.StatusBadRequest, "Target "+in.Ref+" is invalid")
			return
		}
	}
	s.releases[in.Tag] = in.Description
	write(w, http.StatusCreated, map[string]string{"tag_name": in.Tag, "description": in.Description})
}

func (s *Server) make(tag Tag) error {
	if s.repo == "" {
		s.tags[tag.Name] = tag
		return nil
	}
	_, err := s.git("tag", "-a", "--cleanup=verbatim", "-m", tag.Message, "--", tag.Name, tag.Target)
	return err
}

func (s *Server) git(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = s.repo, []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.DevNull, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_COMMITTER_NAME=GitLab", "GIT_COMMITTER_EMAIL=gitlab@towline.invalid",
	}
	out, err := cmd.Output()
	return strings.TrimRight(string(out), "\n"), err
}
