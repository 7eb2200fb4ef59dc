package gitlabtest

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Transfer is how files are delivered.
type Transfer struct {
	Redirect bool          // from the object storage, at a signed address, instead of by GitLab itself
	NoRanges bool          // whole, whatever range is asked for
	NoETag   bool          // without anything by which a change would be seen
	Expires  int           // a signed address is good for that many requests; 0 for any number
	Cuts     []int64       // one after the other, a delivery breaks off after so many bytes; 0 for one that does not
	Pace     time.Duration // before every 64 kB
}

// SetTransfer changes how files are delivered from now on.
func (s *Server) SetTransfer(t Transfer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.transfer = t
}

// blob is a file to be delivered.
type blob struct {
	path string // on disk, or "" for one in body
	body []byte
	size int64
	etag string
	used atomic.Int64 // how often its signed address was
}

// open reads a zip file, or packs a folder.
func open(path string) (*blob, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return &blob{path: path, size: info.Size(), etag: strconv.FormatInt(info.Size(), 16) + "-" + strconv.FormatInt(info.ModTime().UnixNano(), 16)}, nil
	}
	var packed bytes.Buffer
	if err := pack(&packed, os.DirFS(path)); err != nil {
		return nil, err
	}
	return inMemory(packed.Bytes()), nil
}

func inMemory(body []byte) *blob {
	sum := sha256.Sum256(body)
	return &blob{body: body, size: int64(len(body)), etag: hex.EncodeToString(sum[:8])}
}

// pack writes a folder as a zip archive, without a folder .git.
func pack(w io.Writer, folder fs.FS) error {
	archive := zip.NewWriter(w)
	err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if entry.IsDir() && entry.Name() == ".git" {
			return fs.SkipDir
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		header, err := zip.FileInfoHeader(info)
		if err != nil {
			return err
		}
		header.Name, header.Method = name, zip.Deflate
		if entry.IsDir() {
			header.Name += "/"
			_, err = archive.CreateHeader(header)
			return err
		}
		body, err := fs.ReadFile(folder, name)
		if err != nil {
			return err
		}
		file, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		_, err = file.Write(body)
		return err
	})
	if err != nil {
		return err
	}
	return archive.Close()
}

// deliver sends a file, or sends the client to the object storage.
func (s *Server) deliver(w http.ResponseWriter, r *http.Request, b *blob) {
	s.mu.Lock()
	redirect, key := s.transfer.Redirect && s.Storage != "", ""
	if redirect {
		key = "/bucket/" + b.etag + "-" + strconv.Itoa(len(s.signed))
		fresh := &blob{path: b.path, body: b.body, size: b.size, etag: b.etag}
		s.signed[key] = fresh
	}
	s.mu.Unlock()
	if !redirect {
		s.send(w, r, b)
		return
	}
	http.Redirect(w, r, s.Storage+key+"?X-Amz-Expires=600&X-Amz-Signature="+signature, http.StatusFound)
}

// signature is what addresses of the object storage are signed with.
const signature = "0123456789abcdef-signature-of-the-test"

// serveStorage answers for the object storage. It refuses what is signed twice,
// as S3 does: by the address and by a header.
func (s *Server) serveStorage(w http.ResponseWriter, r *http.Request) {
	told := s.record("storage", w, r)
	s.mu.Lock()
	b, expires := s.signed[r.URL.Path], s.transfer.Expires
	s.mu.Unlock()
	switch {
	case r.Header.Get("Authorization") != "":
		http.Error(told, "<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>", http.StatusBadRequest)
	case r.Method != http.MethodGet, r.URL.Query().Get("X-Amz-Signature") != signature:
		http.Error(told, "<Error><Code>SignatureDoesNotMatch</Code></Error>", http.StatusForbidden)
	case b == nil, expires > 0 && b.used.Add(1) > int64(expires):
		http.Error(told, "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>", http.StatusForbidden)
	default:
		s.send(told, r, b)
	}
}

// send delivers the file as it was agreed.
func (s *Server) send(w http.ResponseWriter, r *http.Request, b *blob) {
	s.mu.Lock()
	t, cut := s.transfer, int64(0)
	if len(t.Cuts) > 0 {
		cut, s.transfer.Cuts = t.Cuts[0], t.Cuts[1:]
	}
	s.mu.Unlock()
	content, closer, err := b.open()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer closer()
	w.Header().Set("Content-Type", "application/zip")
	if !t.NoETag {
		w.Header().Set("ETag", `"`+b.etag+`"`)
	}
	slow := &pacer{ResponseWriter: w, left: cut, pace: t.Pace}
	if t.NoRanges {
		w.Header().Set("Content-Length", strconv.FormatInt(b.size, 10))
		_, _ = io.Copy(slow, content)
		return
	}
	http.ServeContent(slow, r, "", time.Time{}, content)
}

func (b *blob) open() (io.ReadSeeker, func(), error) {
	if b.path == "" {
		return bytes.NewReader(b.body), func() {}, nil
	}
	file, err := os.Open(b.path)
	if err != nil {
		return nil, nil, err
	}
	return file, func() { _ = file.Close() }, nil
}

// pacer is an answer that is slow, or breaks off.
type pacer struct {
	http.ResponseWriter
	left int64 // bytes until it breaks off; 0 for never
	pace time.Duration
}

func (p *pacer) Write(body []byte) (int, error) {
	if p.pace > 0 {
		time.Sleep(p.pace * time.Duration(1+len(body)/(64<<10)))
	}
	if p.left == 0 {
		return p.ResponseWriter.Write(body)
	}
	part := body[:min(int64(len(body)), p.left)]
	n, err := p.ResponseWriter.Write(part)
	if p.left -= int64(n); err == nil && p.left == 0 {
		_ = http.NewResponseController(p.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

// Request is a request that was received.
type Request struct {
	Host   string // gitlab or storage
	Method string
	Path   string
	Query  string
	Header http.Header
	Status int
	Sent   int64 // bytes of the answer's body
}

// Requests are the requests so far, to GitLab and to the object storage.
func (s *Server) Requests() []Request {
	s.seen.Lock()
	defer s.seen.Unlock()
	var all []Request
	for _, r := range s.requests {
		all = append(all, *r)
	}
	return all
}

// Seen are the requests to GitLab so far: method and path.
func (s *Server) Seen() []string {
	var seen []string
	for _, r := range s.Requests() {
		if r.Host == "gitlab" {
			seen = append(seen, r.Method+" "+r.Path)
		}
	}
	return seen
}

// Leaks are the requests that showed a token where it does not belong: to the
// object storage, or in an address.
func (s *Server) Leaks() []string {
	var leaks []string
	for _, r := range s.Requests() {
		s.mu.Lock()
		for token := range s.tokens {
			inHeader := strings.Contains(strings.ToLower(headerText(r.Header)), strings.ToLower(token))
			if r.Host == "storage" && inHeader || strings.Contains(r.Path+r.Query, token) {
				leaks = append(leaks, r.Method+" "+r.Host+" "+r.Path)
			}
		}
		s.mu.Unlock()
	}
	return leaks
}

func headerText(header http.Header) string {
	var text strings.Builder
	_ = header.Write(&text)
	return text.String()
}

// record writes a request down, and gives an answer that is counted.
func (s *Server) record(host string, w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	entry := &Request{Host: host, Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Header: r.Header.Clone(), Status: http.StatusOK}
	s.seen.Lock()
	defer s.seen.Unlock()
	s.requests = append(s.requests, entry)
	return &counter{ResponseWriter: w, server: s, entry: entry}
}

// counter counts an answer.
type counter struct {
	http.ResponseWriter
	server *Server
	entry  *Request
}

func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *counter) WriteHeader(status int) {
	c.server.seen.Lock()
	c.entry.Status = status
	c.server.seen.Unlock()
	c.ResponseWriter.WriteHeader(status)
}

func (c *counter) Write(body []byte) (int, error) {
	n, err := c.ResponseWriter.Write(body)
	c.server.seen.Lock()
	c.entry.Sent += int64(n)
	c.server.seen.Unlock()
	return n, err
}
