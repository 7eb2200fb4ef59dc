package objects

import (
	"bytes"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/johannesboyne/gofakes3"

	"gitlab.com/towline/towline/pkg/localcloud/protocol"
)

// wire stands before gofakes3 and gives it what it cannot do: bodies in chunks
// with checksums behind them, ETags of uploads in parts, copies of parts. It
// refuses what gofakes3 would take for something else.
type wire struct {
	store *Store
	next  http.Handler
}

// unsupported are the sub-resources that gofakes3 does not know and would
// overlook, taking a request for tags as one for the object itself.
var unsupported = []string{
	"accelerate", "acl", "analytics", "attributes", "cors", "encryption", "intelligent-tiering", "inventory",
	"legal-hold", "lifecycle", "logging", "metrics", "notification", "object-lock", "ownershipControls", "policy",
	"policyStatus", "publicAccessBlock", "replication", "requestPayment", "restore", "retention", "select", "tagging",
	"torrent", "versions", "website",
}

func (h wire) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	for _, name := range unsupported {
		if query.Has(name) {
			writeError(w, r, http.StatusNotImplemented, "NotImplemented", "The local cloud has no "+name+" in S3.")
			return
		}
	}
	r = inPath(r)
	if err := decodeBody(r); err != nil {
		writeError(w, r, http.StatusBadRequest, "InvalidRequest", err.Error())
		return
	}
	for _, name := range []string{"X-Amz-Security-Token", "X-Amz-Date", "X-Amz-User-Agent"} {
		r.Header.Del(name) // gofakes3 would count them as the object's
	}
	if r.Method == http.MethodPut && query.Has("uploadId") && r.Header.Get("X-Amz-Copy-Source") != "" {
		h.copyPart(w, r)
		return
	}
	answer := &answer{ResponseWriter: w, request: r}
	h.next.ServeHTTP(answer, r)
	answer.finish()
}

// inPath moves a bucket from the host name, as in bucket.localhost, to the path.
func inPath(r *http.Request) *http.Request {
	bucket, below := strings.CutSuffix(protocol.Hostname(r.Host), ".localhost")
	if !below || bucket == "" {
		return r
	}
	moved := r.Clone(r.Context())
	moved.URL.Path, moved.URL.RawPath = "/"+bucket+r.URL.Path, ""
	return moved
}

// copyPart makes a part out of a range of another object.
func (h wire) copyPart(w http.ResponseWriter, r *http.Request) {
	etag, err := h.copiedPart(r)
	if err != nil {
		status, code, message := describe(err)
		writeError(w, r, status, code, message)
		return
	}
	protocol.WriteXML(w, http.StatusOK, struct {
		XMLName      xml.Name             `xml:"CopyPartResult"`
		ETag         string               `xml:"ETag"`
		LastModified gofakes3.ContentTime `xml:"LastModified"`
	}{ETag: etag, LastModified: gofakes3.NewContentTime(h.store.now())})
}

func (h wire) copiedPart(r *http.Request) (string, error) {
	number, err := strconv.Atoi(r.URL.Query().Get("partNumber"))
	if err != nil || number < 1 || number > gofakes3.MaxUploadPartNumber {
		return "", gofakes3.ErrInvalidPart
	}
	source, err := url.PathUnescape(r.Header.Get("X-Amz-Copy-Source"))
	if err != nil {
		return "", gofakes3.ErrInvalidArgument
	}
	fromBucket, fromKey, _ := strings.Cut(strings.TrimPrefix(source, "/"), "/")
	var want *gofakes3.ObjectRangeRequest
	if header := r.Header.Get("X-Amz-Copy-Source-Range"); header != "" {
		first, last, _ := strings.Cut(strings.TrimPrefix(header, "bytes="), "-")
		start, err1 := strconv.ParseInt(first, 10, 64)
		end, err2 := strconv.ParseInt(last, 10, 64)
		if err1 != nil || err2 != nil || start < 0 || end < start {
			return "", gofakes3.ErrInvalidRange
		}
		want = &gofakes3.ObjectRangeRequest{Start: start, End: end}
	}
	d := backend{h.store}
	object, err := d.GetObject(fromBucket, fromKey, want)
	if err != nil {
		return "", err
	}
	defer func() { _ = object.Contents.Close() }() // it was only read
	size := object.Size
	if object.Range != nil {
		size = object.Range.Length
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return d.UploadPart(bucket, key, gofakes3.UploadID(r.URL.Query().Get("uploadId")), number, size, object.Contents)
}

func describe(err error) (status int, code, message string) {
	var known gofakes3.Error
	if !errors.As(translate(err, "", ""), &known) {
		return http.StatusInternalServerError, string(gofakes3.ErrInternal), err.Error()
	}
	code, _, _ = strings.Cut(known.Error(), ":")
	if code == storageFull {
		return http.StatusInsufficientStorage, code, known.Error()
	}
	return known.ErrorCode().Status(), code, known.Error()
}

func writeError(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return
	}
	protocol.WriteXML(w, status, struct {
		XMLName xml.Name `xml:"Error"`
		Code    string   `xml:"Code"`
		Message string   `xml:"Message"`
	}{Code: code, Message: message})
}

// answer mends what gofakes3 answers.
type answer struct {
	http.ResponseWriter
	request *http.Request
	began   bool
	status  int
	held    *bytes.Buffer // an answer that is held back until it is whole
}

func (a *answer) WriteHeader(status int) {
	if a.began {
		return
	}
	a.began, a.status = true, status
	header := a.Header()
	header.Del("Access-Control-Allow-Origin") // pages of other sites may not read this
	if etag := header.Get(etagHeader); etag != "" {
		header.Set("Etag", etag)
		header.Del(etagHeader)
	}
	if status != http.StatusOK || a.request.Header.Get("X-Amz-Checksum-Mode") != "ENABLED" {
		header.Del(checksumHeader)
		header.Del("X-Amz-Checksum-Type")
	}
	for name, values := range header {
		if strings.HasPrefix(name, userPrefix) { // S3 has users' names in lower case
			delete(header, name)
			header[strings.ToLower(name)] = values
		}
	}
	if status == http.StatusInternalServerError || status == http.StatusOK && a.request.URL.Query().Get("list-type") == "2" {
		a.held = &bytes.Buffer{}
		return
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.held != nil {
		return a.held.Write(b)
	}
	return a.ResponseWriter.Write(b)
}

// finish ends an answer. A full disk gets its own status, and a listing of
// nothing says how many keys that is.
func (a *answer) finish() {
	a.WriteHeader(http.StatusOK)
	if a.held == nil {
		return
	}
	body := a.held.Bytes()
	if bytes.Contains(body, []byte("<Code>"+storageFull+"</Code>")) {
		a.status = http.StatusInsufficientStorage
	}
	if end := []byte("</ListBucketResult>"); a.status == http.StatusOK && !bytes.Contains(body, []byte("<KeyCount>")) {
		body = bytes.Replace(body, end, append([]byte("<KeyCount>0</KeyCount>"), end...), 1)
	}
	a.ResponseWriter.WriteHeader(a.status)
	_, _ = a.ResponseWriter.Write(body) // a client that went away is not told
}
