package gitlabtest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
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

// Link is a link on a release's page.
type Link struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
	URL  string `json:"url"`
	Kind string `json:"link_type"`
}

// Links are those of a release, in the order in which they were made.
func (s *Server) Links(tag string) []Link {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Link
	for _, link := range s.links[tag] {
		all = append(all, *link)
	}
	return all
}

func (s *Server) releaseCalls() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /repository/tags/{tag}":              s.ownProject(s.getTag),
		"GET /releases/{tag}":                     s.ownProject(s.getRelease),
		"POST /releases":                          s.ownProject(s.postRelease),
		"DELETE /releases/{tag}":                  s.ownProject(s.deleteRelease),
		"GET /releases/{tag}/assets/links":        s.ownProject(s.getLinks),
		"POST /releases/{tag}/assets/links":       s.ownProject(s.postLink),
		"PUT /releases/{tag}/assets/links/{link}": s.ownProject(s.putLink),
	}
}

func (s *Server) getRelease(w http.ResponseWriter, r *http.Request) {
	tag := r.PathValue("tag")
	text, ok := s.releases[tag]
	if !ok {
		tell(w, http.StatusNotFound, "404 Not Found")
		return
	}
	write(w, http.StatusOK, map[string]any{"tag_name": tag, "description": text, "assets": map[string]any{"links": s.links[tag]}})
}

func (s *Server) getLinks(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.releases[r.PathValue("tag")]; !ok {
		tell(w, http.StatusNotFound, "404 Not Found")
		return
	}
	write(w, http.StatusOK, append([]*Link{}, s.links[r.PathValue("tag")]...))
}

// legal says what GitLab finds wrong with a link: names and addresses are
// unique within a release, and addresses are of http, https or ftp.
func (s *Server) legal(tag string, link Link) string {
	at, err := url.Parse(link.URL)
	if err != nil || !slices.Contains([]string{"http", "https", "ftp"}, at.Scheme) || at.Host == "" {
		return "Url is blocked: Only allowed schemes are http, https, ftp"
	}
	if !slices.Contains([]string{"other", "runbook", "image", "package"}, link.Kind) {
		return "link_type does not have a valid value"
	}
	for _, other := range s.links[tag] {
		if other.ID != link.ID && (other.Name == link.Name || other.URL == link.URL) {
			return "Name or url has already been taken"
		}
	}
	return ""
}

func (s *Server) postLink(w http.ResponseWriter, r *http.Request) {
	tag := r.PathValue("tag")
	link := Link{Kind: "other"}
	if _, ok := s.releases[tag]; !ok {
		tell(w, http.StatusNotFound, "404 Not Found")
		return
	}
	if err := json.NewDecoder(r.Body).Decode(&link); err != nil || link.Name == "" {
		tell(w, http.StatusBadRequest, "name is missing")
		return
	}
	link.ID = s.world.next()
	if wrong := s.legal(tag, link); wrong != "" {
		tell(w, http.StatusBadRequest, wrong)
		return
	}
	s.links[tag] = append(s.links[tag], &link)
	write(w, http.StatusCreated, link)
}

func (s *Server) putLink(w http.ResponseWriter, r *http.Request) {
	tag := r.PathValue("tag")
	for _, link := range s.links[tag] {
		if strconv.Itoa(link.ID) != r.PathValue("link") {
			continue
		}
		changed := *link
		if err := json.NewDecoder(r.Body).Decode(&changed); err != nil {
			tell(w, http.StatusBadRequest, err.Error())
			return
		}
		if wrong := s.legal(tag, changed); wrong != "" {
			tell(w, http.StatusBadRequest, wrong)
			return
		}
		*link = changed
		write(w, http.StatusOK, link)
		return
	}
	tell(w, http.StatusNotFound, "404 Not Found")
}

// ownProject locks the server for a call about tags and releases.
func (s *Server) ownProject(f http.HandlerFunc) http.HandlerFunc {
	return s.with(power{jobs: true, role: Developer, feature: "releases"}, func(w http.ResponseWriter, r *http.Request, at access) {
		if at.project.ID != OwnProject {
			tell(w, http.StatusNotFound, "404 Project Not Found")
			return
		}
		if tag := r.PathValue("tag"); r.Method != http.MethodGet && at.protects(tag) {
			tell(w, http.StatusForbidden, "403 Forbidden")
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		f(w, r)
	})
}

func (s *Server) deleteRelease(w http.ResponseWriter, r *http.Request) {
	delete(s.releases, r.PathValue("tag"))
	delete(s.links, r.PathValue("tag"))
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
