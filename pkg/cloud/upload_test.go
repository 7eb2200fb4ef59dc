package cloud_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud/objects"
	"gitlab.com/towline/towline/pkg/plan"
)

// folder writes names and contents in turn.
func folder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func uploading(dir string) plan.Upload {
	return plan.Upload{Channel: "train", Dir: dir, Digest: "d1", To: "s3://bucket/shop/risk/data/train/d1/", KMSKey: "key-1"}
}

func TestUploadCopiesOnceAndMarksTheEnd(t *testing.T) {
	f := newAmazon(t)
	dir := folder(t, "a.csv", "1,2\n", "more/b c.csv", "3\n", "empty", "")
	if err := os.Symlink(filepath.Join(dir, "a.csv"), filepath.Join(dir, "link.csv")); err != nil {
		t.Fatal(err)
	}
	v := connect(t, f.URL)
	got, err := v.Upload(context.Background(), uploading(dir))
	if err != nil {
		t.Fatal(err)
	}
	if uri := got.Yields["uri"]; uri != "s3://bucket/shop/risk/data/train/d1/" {
		t.Errorf("uri %s", uri)
	}
	if got.Said != "channel train: 4 files, 10 B" {
		t.Errorf("said %q", got.Said)
	}
	const at = "bucket/shop/risk/data/train/d1"
	for name, want := range map[string]string{
		"/a.csv": "1,2\n", "/more/b c.csv": "3\n", "/empty": "", "/link.csv": "1,2\n",
		".complete": `{"digest":"d1","files":4,"bytes":10}` + "\n",
	} {
		if body, ok := f.files[at+name]; !ok || string(body) != want {
			t.Errorf("object %s is %q, want %q", at+name, body, want)
		}
	}
	if last := f.calls[len(f.calls)-1]; last != "PUT "+at+".complete" {
		t.Errorf("the last call is %s, want the marker", last)
	}

	got, err = v.Upload(context.Background(), uploading(dir))
	if err != nil || !strings.Contains(got.Said, "uploaded before") || got.Yields["uri"] == "" {
		t.Errorf("the second upload: %+v, %v", got, err)
	}
	f.called("PUT", 5)
}

func TestUploadWritesNoMarkerIfAFileIsMissing(t *testing.T) {
	f := newAmazon(t)
	f.refusals["PUT"] = []refusal{{403, "AccessDenied", "no"}}
	_, err := connect(t, f.URL).Upload(context.Background(), uploading(folder(t, "a", "1", "b", "2")))
	failsWith(t, err, fault.Denied, "upload s3://bucket/shop/risk/data/train/d1/")
	if fault.HintOf(err) != "allow s3:PutObject to the role that runs towline" {
		t.Errorf("hint %q", fault.HintOf(err))
	}
	f.Close() // waits for the other file, whose request was given up
	if f.files["bucket/shop/risk/data/train/d1.complete"] != nil {
		t.Error("the marker was written")
	}
}

func TestUploadRefusesFoldersItCannotCopy(t *testing.T) {
	linked := t.TempDir()
	if err := os.Symlink(t.TempDir(), filepath.Join(linked, "sub")); err != nil {
		t.Fatal(err)
	}
	dangling := t.TempDir()
	if err := os.Symlink("nowhere", filepath.Join(dangling, "a")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		phrase string
		dir    string
		kind   fault.Kind
		text   string
	}{
		{"a folder that is not there", "/nowhere", fault.Missing, "/nowhere"},
		{"an empty folder", t.TempDir(), fault.Missing, "holds no files"},
		{"a link to a folder", linked, fault.Repository, "neither a file nor a folder"},
		{"a link to nothing", dangling, fault.Missing, "no such file"},
	} {
		t.Run(tt.phrase, func(t *testing.T) {
			_, err := connect(t, newAmazon(t).URL).Upload(context.Background(), uploading(tt.dir))
			failsWith(t, err, tt.kind, tt.text)
		})
	}
}

func TestUploadOfManyFiles(t *testing.T) {
	f := newAmazon(t)
	dir := t.TempDir()
	for i := range 100 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := connect(t, f.URL).Upload(context.Background(), uploading(dir)); err != nil {
		t.Fatal(err)
	}
	f.called("PUT", 101)
}

func TestRecords(t *testing.T) {
	const uri = "s3://bucket/shop/risk/releases/ab/release.json"
	f := newAmazon(t)
	ctx, v := context.Background(), connect(t, f.URL)
	if _, found, err := v.LoadRecord(ctx, uri); found || err != nil {
		t.Errorf("LoadRecord before the save: %v, %v", found, err)
	}
	if err := v.SaveRecord(ctx, uri, []byte(`{"schema":1}`)); err != nil {
		t.Fatal(err)
	}
	body, found, err := v.LoadRecord(ctx, uri)
	if err != nil || !found || string(body) != `{"schema":1}` {
		t.Errorf("LoadRecord = %s, %v, %v", body, found, err)
	}
	f.files["bucket/shop/risk/releases/ab/release.json"] = make([]byte, 9<<20)
	_, _, err = v.LoadRecord(ctx, uri)
	failsWith(t, err, fault.Remote, "larger than 8 MB")
	f.refusals["PUT"] = []refusal{{404, "NoSuchBucket", "The specified bucket does not exist"}}
	failsWith(t, v.SaveRecord(ctx, uri, nil), fault.Missing, "NoSuchBucket")
	for _, bad := range []string{"/tmp/release.json", "s3://", "s3://bucket", "s3://bucket/folder/"} {
		failsWith(t, v.SaveRecord(ctx, bad, nil), fault.Repository, bad)
	}
}

// store is the S3 of the local cloud.
func store(t *testing.T) string {
	t.Helper()
	objects, err := objects.Open(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = objects.Close() })
	if err := objects.MakeBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(objects.Handler())
	t.Cleanup(server.Close)
	return server.URL
}

func TestUploadOfALargeFileGoesInParts(t *testing.T) {
	const part = 5 << 20
	body := bytes.Repeat([]byte("0123456789abcdef"), (2*part+1000)/16)
	dir := folder(t, "large.bin", string(body))
	ctx, v := context.Background(), connect(t, store(t))
	v.Parts(part)
	a := uploading(dir)
	a.KMSKey = ""
	if _, err := v.Upload(ctx, a); err != nil {
		t.Fatal(err)
	}
	_, _, err := v.LoadRecord(ctx, "s3://bucket/shop/risk/data/train/d1/large.bin")
	failsWith(t, err, fault.Remote, "larger than 8 MB")
	again, err := v.Upload(ctx, a)
	if err != nil || !strings.Contains(again.Said, "uploaded before") {
		t.Errorf("the second upload: %+v, %v", again, err)
	}
}

func TestUploadOfALargeFileLeavesNoParts(t *testing.T) {
	var aborted atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch r.Method {
		case http.MethodHead:
			w.WriteHeader(http.StatusNotFound)
		case http.MethodPost:
			_, _ = io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>")
		case http.MethodDelete:
			aborted.Store(r.URL.Query().Get("uploadId") == "u1")
			w.WriteHeader(http.StatusNoContent)
		default:
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
		}
	}))
	defer server.Close()
	v := connect(t, server.URL)
	v.Parts(4)
	_, err := v.Upload(context.Background(), uploading(folder(t, "large.bin", "0123456789")))
	failsWith(t, err, fault.Denied, "large.bin")
	if !aborted.Load() {
		t.Error("the parts are left in the bucket")
	}
}
