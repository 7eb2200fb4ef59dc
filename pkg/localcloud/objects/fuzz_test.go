package objects_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzChunks: whatever comes as a body in chunks, the answer is no breakdown,
// and the object is there as a whole or not at all.
func FuzzChunks(f *testing.F) {
	f.Add("5\r\nhello\r\n0\r\n\r\n", 5)
	f.Add("5;chunk-signature=00\r\nhello\r\n0;chunk-signature=00\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", 5)
	f.Add("ffffffffffffffff\r\n", 1)
	f.Add("-1\r\n", 0)
	f.Add("", 0)
	f.Fuzz(func(t *testing.T, body string, size int) {
		s := open(t, t.TempDir())
		r := httptest.NewRequest(http.MethodPut, "/"+bucket+"/key", strings.NewReader(body))
		r.Header.Set("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
		r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
		r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(size))
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("PUT %q = %d %s", body, w.Code, w.Body)
		}
		list, err := s.List(bucket, "")
		if err != nil {
			t.Fatal(err)
		}
		if stored := len(list) == 1; stored != (w.Code == http.StatusOK) || stored && list[0].Size != int64(size) {
			t.Errorf("PUT %q of %d = %d, and there is %v", body, size, w.Code, list)
		}
	})
}

// FuzzKeys: every key that can be one comes back as it went, after a restart
// too, and a listing names it.
func FuzzKeys(f *testing.F) {
	for _, key := range []string{"a", "a/../b", "..", "/", "a//b/", "ü\x00", strings.Repeat("k/", 500)} {
		f.Add(key, "/")
	}
	f.Fuzz(func(t *testing.T, key, prefix string) {
		dir := t.TempDir()
		err := open(t, dir).Put(bucket, key, strings.NewReader("content"))
		if valid := key != "" && len(key) <= 1024 && utf8.ValidString(key); valid != (err == nil) {
			t.Errorf("Put(%q) = %v", key, err)
		}
		if err != nil {
			return
		}
		s := open(t, dir)
		r, err := s.Get(bucket, key)
		if err != nil {
			t.Fatalf("Get(%q) = %v", key, err)
		}
		if b, err := io.ReadAll(r); err != nil || string(b) != "content" {
			t.Errorf("Get(%q) = %q, %v", key, b, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		list, err := s.List(bucket, prefix)
		if found := len(list) == 1; err != nil || found != strings.HasPrefix(key, prefix) {
			t.Errorf("List(%q) with %q = %v, %v", prefix, key, list, err)
		}
	})
}
