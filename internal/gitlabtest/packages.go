package gitlabtest

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// GitLab's shapes of a generic package's name, version and file.
var (
	packageName    = regexp.MustCompile(`^[A-Za-z0-9._\-+]+$`)
	packageVersion = regexp.MustCompile(`^(\.?[\w+-]+\.?)+$`)
)

func (s *Server) packageCalls() map[string]http.HandlerFunc {
	reads := power{jobs: true, role: Reporter, feature: "packages"}
	writes := power{jobs: true, role: Developer, feature: "packages"}
	return map[string]http.HandlerFunc{
		"PUT /packages/generic/{name}/{version}/{file}": s.with(writes, s.putPackage),
		"GET /packages/generic/{name}/{version}/{file}": s.with(reads, s.getPackage),
		"GET /packages":                         s.with(reads, s.listPackages),
		"GET /packages/{package}/package_files": s.with(reads, s.listPackageFiles),
	}
}

// mostPackage is how many bytes a file may have, unless a project says so.
const mostPackage = 5 << 30

// received is a file that is sent, if the project takes it.
func received(w http.ResponseWriter, r *http.Request, at access) ([]byte, bool) {
	body, err := io.ReadAll(r.Body)
	most := at.project.MostPackage
	if most == 0 {
		most = mostPackage
	}
	switch {
	case err != nil:
		tell(w, http.StatusBadRequest, err.Error())
	case int64(len(body)) > most:
		tell(w, http.StatusBadRequest, "400 Bad request - File is too large")
	default:
		return body, true
	}
	return nil, false
}

func (s *Server) putPackage(w http.ResponseWriter, r *http.Request, at access) {
	name, version, file := r.PathValue("name"), r.PathValue("version"), r.PathValue("file")
	if !packageName.MatchString(name) || !packageVersion.MatchString(version) || !packageName.MatchString(file) {
		tell(w, http.StatusBadRequest, "name, version or file is invalid")
		return
	}
	body, ok := received(w, r, at)
	if !ok {
		return
	}
	key := packageKey(at.project.ID, name, version, file)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.packages[key] != nil && at.project.Once {
		tell(w, http.StatusBadRequest, "400 Bad request - Duplicate package is not allowed")
		return
	}
	s.packages[key] = inMemory(body)
	s.filed(at.project.ID, "generic", name, version, file, body)
	tell(w, http.StatusCreated, "201 Created")
}

// kept is a package, as the list of packages has it.
type kept struct {
	ID      int    `json:"id"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Kind    string `json:"package_type"`

	project int
	files   []keptFile
}

type keptFile struct {
	ID     int    `json:"id"`
	Name   string `json:"file_name"`
	Size   int    `json:"size"`
	SHA256 string `json:"file_sha256"`

	body []byte
}

// filed enters a file into its package, which is made if there is none. A
// second file of one name stands beside the first.
func (s *Server) filed(project int, kind, name, version, file string, body []byte) {
	sum := sha256.Sum256(body)
	entry := keptFile{ID: s.world.next(), Name: file, Size: len(body), SHA256: hex.EncodeToString(sum[:]), body: body}
	for _, p := range s.world.packages {
		if p.project == project && p.Kind == kind && p.Name == name && p.Version == version {
			p.files = append(p.files, entry)
			return
		}
	}
	s.world.packages = append(s.world.packages, &kept{
		ID: s.world.next(), Name: name, Version: version, Kind: kind, project: project, files: []keptFile{entry},
	})
}

// listPackages lists packages whose name holds the one that is asked for.
func (s *Server) listPackages(w http.ResponseWriter, r *http.Request, at access) {
	query := r.URL.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []*kept{}
	for _, p := range s.world.packages {
		if p.project == at.project.ID && strings.Contains(p.Name, query.Get("package_name")) &&
			(query.Get("package_type") == "" || query.Get("package_type") == p.Kind) &&
			(query.Get("package_version") == "" || query.Get("package_version") == p.Version) {
			found = append(found, p)
		}
	}
	write(w, http.StatusOK, found)
}

func (s *Server) listPackageFiles(w http.ResponseWriter, r *http.Request, at access) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.world.packages {
		if p.project == at.project.ID && strconv.Itoa(p.ID) == r.PathValue("package") {
			write(w, http.StatusOK, p.files)
			return
		}
	}
	tell(w, http.StatusNotFound, "404 Not Found")
}

func (s *Server) getPackage(w http.ResponseWriter, r *http.Request, at access) {
	s.mu.Lock()
	found := s.packages[packageKey(at.project.ID, r.PathValue("name"), r.PathValue("version"), r.PathValue("file"))]
	s.mu.Unlock()
	if found == nil {
		tell(w, http.StatusNotFound, "404 Package Not Found")
		return
	}
	s.deliver(w, r, found)
}

// Packages are the generic packages that there are: project/name/version/file.
func (s *Server) Packages() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for key := range s.packages {
		all = append(all, key)
	}
	return all
}

func packageKey(project int, parts ...string) string {
	return strconv.Itoa(project) + "/" + strings.Join(parts, "/")
}
