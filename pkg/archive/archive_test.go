package archive_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gitlab.com/towline/towline/pkg/archive"
	"gitlab.com/towline/towline/pkg/fault"
)

// unpack unpacks an archive into a folder of an otherwise empty one, and lists
// what is there afterwards.
func unpack(t testing.TB, body []byte, limits archive.Limits, patterns ...string) ([]archive.File, []string, error) {
	t.Helper()
	outer := t.TempDir()
	files, err := unpackInto(t, filepath.Join(outer, "into"), body, limits, patterns)
	var there []string
	walk := filepath.WalkDir(outer, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && path != outer {
			rel, _ := filepath.Rel(outer, path)
			there = append(there, rel)
		}
		return err
	})
	if walk != nil {
		t.Fatal(walk)
	}
	return files, there, err
}

func unpackInto(t testing.TB, target string, body []byte, limits archive.Limits, patterns []string) ([]archive.File, error) {
	t.Helper()
	staging, err := archive.Stage(target)
	if err != nil {
		t.Fatal(err)
	}
	defer staging.Abort()
	zipped, err := archive.OpenZip(t.Context(), archive.Disk{File: bytes.NewReader(body), Bytes: int64(len(body))}, nil, limits)
	if err != nil {
		return nil, err
	}
	files, err := zipped.Unpack(t.Context(), staging, patterns, 2, nil)
	if err != nil {
		return nil, err
	}
	return files, staging.Commit()
}

// zipOf packs entries; a header may be changed before.
func zipOf(t testing.TB, headers ...*zip.FileHeader) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for _, h := range headers {
		text := h.Comment
		h.Comment = ""
		if h.Method == 0 && !strings.HasSuffix(h.Name, "/") && len(text) > 100 {
			h.Method = zip.Deflate
		}
		file, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func entry(name, text string) *zip.FileHeader { return &zip.FileHeader{Name: name, Comment: text} }

func special(name string, mode fs.FileMode) *zip.FileHeader {
	h := entry(name, "target")
	h.SetMode(mode)
	return h
}

func TestUnpack(t *testing.T) {
	long := strings.Repeat("0123456789", 100_000)
	script := entry("bin/run", "#!/bin/sh\n")
	script.SetMode(0o755)
	body := zipOf(t, entry("a.txt", "one"), entry("deep/er/", ""), entry("deep/b.txt", long), script, entry("empty", ""))
	files, there, err := unpack(t, body, archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"into", "into/a.txt", "into/bin", "into/bin/run", "into/deep", "into/deep/b.txt", "into/deep/er", "into/empty"}
	if !slices.Equal(there, want) || len(files) != 4 {
		t.Errorf("there is %v, want %v", there, want)
	}
	if files, there, err = unpack(t, body, archive.Limits{}, "deep", "b*/*"); err != nil || len(files) != 2 {
		t.Errorf("with patterns: %v, %v, %v", files, there, err)
	}
}

func TestHostileArchives(t *testing.T) {
	plain := zipOf(t, entry("a.txt", strings.Repeat("words ", 1000)), entry("b.txt", "two"))
	patched := func(at int, value byte) []byte {
		body := bytes.Clone(plain)
		body[at] = value
		return body
	}
	directory := bytes.Index(plain, []byte("PK\x01\x02"))
	long := strings.Repeat("d/", 70) + "f"
	for _, tt := range []struct {
		name string
		body []byte
		want string
	}{
		{"a path that leads out", zipOf(t, entry("ok", "1"), entry("../evil", "2")), `entry "../evil" leads out of the folder`},
		{"a path that leads out in its middle", zipOf(t, entry("a/../../evil", "2")), `leads out of the folder`},
		{"an absolute path", zipOf(t, entry("/etc/evil", "2")), `has an absolute path`},
		{"a backslash", zipOf(t, entry(`..\evil`, "2")), `holds a backslash`},
		{"a name that is not UTF-8", zipOf(t, entry("\xff", "2")), `is not UTF-8`},
		{"a zero byte", zipOf(t, entry("a\x00b", "2")), `holds a zero byte`},
		{"a symlink", zipOf(t, special("link", fs.ModeSymlink|0o777)), `is a symlink, wanted a file`},
		{"a device", zipOf(t, special("null", fs.ModeDevice|0o666)), `is a device or a pipe`},
		{"one name twice", zipOf(t, entry("a", "1"), entry("a", "2")), `entries "a" and "a" have one name`},
		{"one name in two cases", zipOf(t, entry("a", "1"), entry("A", "2")), `entries "a" and "A" have one name`},
		{"a file where a folder has to be", zipOf(t, entry("a", "1"), entry("a/b", "2")), `needs a folder of that name`},
		{"a folder where a file has to be", zipOf(t, entry("a/b", "1"), entry("a", "2")), `needs a folder of that name`},
		{"folders without end", zipOf(t, entry(long, "1")), `lies 71 folders deep`},
		{"encryption", patched(directory+8, 1), `entry "a.txt" is encrypted`},
		{"another method", patched(directory+10, 99), `is packed by method 99`},
		{"a size that is too small", patched(directory+24, 1), `is larger than the`},
		{"a size that is too large", patched(directory+26, 9), `its directory says`},
		{"a packed size that reaches into the next entry", patched(directory+21, 9), `lies upon another one`},
		{"another checksum", patched(directory+16, plain[directory+16]+1), `has another checksum`},
		{"a name of its own", patched(30, 'x'), `calls itself "x.txt"`},
		{"damage", patched(60, plain[60]^0xff), `entry "a.txt"`},
		{"an end that is missing", plain[:len(plain)-30], `its end is missing`},
		{"a beginning that is missing", plain[100:], `unpack: `},
		{"a directory whose beginning is missing", plain[directory+10:], `would begin before the archive`},
		{"an entry that is not where the directory says", patched(0, 'X'), `does not begin where`},
		{"an entry that is packed otherwise", patched(8, 0), `its directory says`},
		{"a header that reaches into the next entry", patched(28, 20), `lies upon another one`},
		{"bytes behind the packed ones", junk(t), `bytes of the archive, its directory says`},
		{"sizes whose sum is none", wrapping(t), `would unpack to more than`},
		{"a long name", zipOf(t, entry(strings.Repeat("n", 256), "1")), `has a name of 256 bytes`},
		{"a long path", zipOf(t, entry(strings.Repeat(strings.Repeat("n", 250)+"/", 5)+"n", "1")), `has a path of 1256 bytes`},
		{"nothing", nil, `it is no zip archive`},
		{"a page", []byte("<html>sign in</html>"), `it is no zip archive`},
		{"more than the limit", bomb(t), `would unpack to`},
		{"entries upon each other", overlapping(), `lies upon another one`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, there, err := unpack(t, tt.body, archive.Limits{})
			if err == nil || !strings.Contains(err.Error(), tt.want) || fault.KindOf(err) != fault.Repository {
				t.Errorf("Unpack = %v (kind %d), want %q", err, fault.KindOf(err), tt.want)
			}
			if len(there) > 0 {
				t.Errorf("there is %v, want nothing", there)
			}
		})
	}
}

// bomb is a small archive with much in it.
func bomb(t *testing.T) []byte {
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	file, err := w.Create("zeros")
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 200 {
		if _, err := file.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// raw packs entries as they are said to be.
func raw(t *testing.T, bodies [][]byte, change func(*zip.FileHeader)) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for i, body := range bodies {
		h := &zip.FileHeader{Name: string(rune('a' + i)), Method: zip.Deflate, CompressedSize64: uint64(len(body))}
		change(h)
		file, err := w.CreateRaw(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// junk has more bytes for an entry than it is packed in.
func junk(t *testing.T) []byte {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, 9)
	if err == nil {
		_, err = w.Write([]byte("x"))
	}
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return raw(t, [][]byte{append(packed.Bytes(), "junk"...)}, func(h *zip.FileHeader) {
		h.UncompressedSize64, h.CRC32 = 1, crc32.ChecksumIEEE([]byte("x"))
	})
}

// wrapping has two entries that are said to have so many bytes that few are left of the sum.
func wrapping(t *testing.T) []byte {
	return raw(t, [][]byte{[]byte("x"), []byte("y")}, func(h *zip.FileHeader) {
		if h.UncompressedSize64 = 5; h.Name == "b" {
			h.UncompressedSize64 = math.MaxUint64
		}
	})
}

// overlapping has two entries at one place.
func overlapping() []byte {
	local := func(name string) []byte { return header("PK\x03\x04", name, 0) }
	body := append(local("a"), 'x')
	start := len(body)
	body = append(body, header("PK\x01\x02", "a", 0)...)
	body = append(body, header("PK\x01\x02", "b", 0)...)
	return append(body, end(2, len(body)-start, start)...)
}

func header(signature, name string, offset int) []byte {
	h := []byte(signature)
	if signature == "PK\x01\x02" {
		h = append(h, 20, 3)
	}
	h = append(h, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	h = binary.LittleEndian.AppendUint32(h, crc32.ChecksumIEEE([]byte("x")))
	h = binary.LittleEndian.AppendUint32(h, 1)
	h = binary.LittleEndian.AppendUint32(h, 1)
	h = binary.LittleEndian.AppendUint16(h, uint16(len(name)))
	h = append(h, 0, 0)
	if signature == "PK\x01\x02" {
		h = append(h, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		h = binary.LittleEndian.AppendUint32(h, uint32(offset))
	}
	return append(h, name...)
}

func end(count, size, start int) []byte {
	e := append([]byte("PK\x05\x06"), 0, 0, 0, 0)
	e = binary.LittleEndian.AppendUint16(e, uint16(count))
	e = binary.LittleEndian.AppendUint16(e, uint16(count))
	e = binary.LittleEndian.AppendUint32(e, uint32(size))
	e = binary.LittleEndian.AppendUint32(e, uint32(start))
	return append(e, 0, 0)
}

func TestAMillionEntries(t *testing.T) {
	const count = 1_000_000
	body := append(header("PK\x03\x04", "0000000", 0), 'x')
	start := len(body)
	for i := range count {
		body = append(body, header("PK\x01\x02", fmt.Sprintf("%07d", i), 0)...)
	}
	size, at := len(body)-start, len(body)
	body = append(body, "PK\x06\x06"...)
	body = binary.LittleEndian.AppendUint64(body, 44)
	body = append(body, 45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	for _, n := range []int{count, count, size, start} {
		body = binary.LittleEndian.AppendUint64(body, uint64(n))
	}
	body = append(body, "PK\x06\x07\x00\x00\x00\x00"...)
	body = binary.LittleEndian.AppendUint64(body, uint64(at))
	body = append(append(body, 1, 0, 0, 0), end(0xffff, 0xffffffff, 0xffffffff)...)
	_, there, err := unpack(t, body, archive.Limits{})
	if err == nil || !strings.Contains(err.Error(), "has 1000000 entries, wanted 100000 at most") || len(there) > 0 {
		t.Errorf("Unpack = %v, there is %d", err, len(there))
	}
}

func TestMoreEntriesThanTheEndSays(t *testing.T) {
	var body []byte
	for i := range 20 {
		body = append(append(body, header("PK\x03\x04", string(rune('a'+i)), 0)...), 'x')
	}
	start := len(body)
	for i := range 20 {
		body = append(body, header("PK\x01\x02", string(rune('a'+i)), i*32)...)
	}
	body = append(body, end(3, len(body)-start, start)...)
	if _, there, err := unpack(t, body, archive.Limits{Files: 5}); err == nil || len(there) > 0 {
		t.Errorf("Unpack = %v, there is %v", err, there)
	}
}

// The number of entries at the end has two bytes: it may be short by 65,536.
func TestEntriesThatTheirNumberLeavesOut(t *testing.T) {
	const count = 1<<16 + 1
	body := append(header("PK\x03\x04", "00000", 0), 'x')
	start := len(body)
	for i := range count {
		body = append(body, header("PK\x01\x02", fmt.Sprintf("%05d", i), 0)...)
	}
	body = append(body, end(1, len(body)-start, start)...)
	_, there, err := unpack(t, body, archive.Limits{Files: 1000})
	if err == nil || !strings.Contains(err.Error(), "has 65537 entries, wanted 1000 at most") || len(there) > 0 {
		t.Errorf("Unpack = %v, there is %d", err, len(there))
	}
}

func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		name   string
		body   []byte
		limits archive.Limits
		want   string // "" for nothing
	}{
		{"as much as may be", zipOf(t, entry("a", "12345"), entry("b", "12345")), archive.Limits{Size: 10, Files: 2}, ""},
		{"one file that is too large", zipOf(t, entry("a", "12345678901")), archive.Limits{Size: 10}, "more than 10 bytes"},
		{"files that are too large together", zipOf(t, entry("a", "123456"), entry("b", "123456")), archive.Limits{Size: 10}, "more than 10 bytes"},
		{"too many files", zipOf(t, entry("a", "1"), entry("b", "1"), entry("c", "1")), archive.Limits{Files: 2}, "has 3 entries, wanted 2 at most"},
	} {
		_, there, err := unpack(t, tt.body, tt.limits)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || len(there) > 0) {
			t.Errorf("%s: Unpack = %v, there is %v, want %q", tt.name, err, there, tt.want)
		}
	}
}

func TestAFolderIsReplacedWholeOrNotAtAll(t *testing.T) {
	target := filepath.Join(t.TempDir(), "into")
	if _, err := unpackInto(t, target, zipOf(t, entry("old", "1")), archive.Limits{}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := unpackInto(t, target, zipOf(t, entry("new", "1"), entry("../evil", "1")), archive.Limits{}, nil); err == nil {
		t.Fatal("a hostile archive is unpacked")
	}
	if _, err := os.Stat(filepath.Join(target, "old")); err != nil {
		t.Errorf("what was there is gone: %v", err)
	}
	if _, err := unpackInto(t, target, zipOf(t, entry("new", "1")), archive.Limits{}, nil); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadDir(filepath.Dir(target))
	if _, old := os.Stat(filepath.Join(target, "old")); old == nil || len(list) != 1 || err != nil {
		t.Errorf("beside the new folder there is %v, %v", list, err)
	}
}

func TestHostileTars(t *testing.T) {
	folder := &tar.Header{Name: "p/q", Typeflag: tar.TypeDir}
	for _, tt := range []struct {
		name    string
		headers []*tar.Header
		want    string
	}{
		{"more files than may be", []*tar.Header{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}, "more than 3 entries"},
		{"a file that is too large", []*tar.Header{{Name: "a", Size: 11}}, "more than 10 bytes"},
		{"files that are too large together", []*tar.Header{{Name: "a", Size: 6}, {Name: "b", Size: 6}}, "more than 10 bytes"},
		{"a link that leads out by another one", []*tar.Header{
			folder, {Name: "p/q/up", Typeflag: tar.TypeSymlink, Linkname: "../.."}, {Name: "p/q/out", Typeflag: tar.TypeSymlink, Linkname: "up/.."},
		}, "a link that leads out"},
		{"a link that leads out by a later one", []*tar.Header{
			folder, {Name: "p/q/out", Typeflag: tar.TypeSymlink, Linkname: "up/../x"}, {Name: "p/q/up", Typeflag: tar.TypeSymlink, Linkname: "../.."},
		}, "a link that leads out"},
		{"links in a circle", []*tar.Header{
			{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "b"}, {Name: "b", Typeflag: tar.TypeSymlink, Linkname: "a"},
		}, "a link that leads"},
		{"a path that leads out", []*tar.Header{{Name: "../evil"}}, "leads out"},
		{"an absolute path", []*tar.Header{{Name: "/evil"}}, "absolute"},
		{"a link that leads out", []*tar.Header{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../x"}}, "a link that leads out"},
		{"an absolute link", []*tar.Header{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/etc"}}, "a link that leads out"},
		{"a file through a link", []*tar.Header{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "d"}, {Name: "l/f"}}, "needs a folder"},
		{"a hard link", []*tar.Header{{Name: "h", Typeflag: tar.TypeLink, Linkname: "a"}}, "hard link"},
		{"a device", []*tar.Header{{Name: "n", Typeflag: tar.TypeChar}}, "device"},
		{"one name twice", []*tar.Header{{Name: "a"}, {Name: "a"}}, "have one name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var packed bytes.Buffer
			w := tar.NewWriter(&packed)
			for _, h := range tt.headers {
				h.Mode = 0o644
				if err := w.WriteHeader(h); err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(make([]byte, h.Size)); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			outer := t.TempDir()
			staging, err := archive.Stage(filepath.Join(outer, "into"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = archive.Untar(&packed, staging, archive.Limits{Files: 3, Size: 10})
			staging.Abort()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Untar = %v, want %q", err, tt.want)
			}
			if list, _ := os.ReadDir(outer); len(list) > 0 {
				t.Errorf("there is %v", list)
			}
		})
	}
}

// Links that stay within the folder are kept, also those to what is not there.
func TestLinksOfATar(t *testing.T) {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for _, h := range []*tar.Header{
		{Name: "d/f"}, {Name: "to-file", Typeflag: tar.TypeSymlink, Linkname: "d/f"}, {Name: "d/up", Typeflag: tar.TypeSymlink, Linkname: ".."},
		{Name: "by-link", Typeflag: tar.TypeSymlink, Linkname: "d/up/to-file"}, {Name: "to-nothing", Typeflag: tar.TypeSymlink, Linkname: "d/none"},
	} {
		h.Mode = 0o644
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "into")
	staging, err := archive.Stage(target)
	if err != nil {
		t.Fatal(err)
	}
	defer staging.Abort()
	if _, err := archive.Untar(&packed, staging, archive.Limits{}); err != nil {
		t.Fatal(err)
	}
	if err := staging.Commit(); err != nil {
		t.Fatal(err)
	}
	for link, want := range map[string]string{"to-file": "d/f", "d/up": "..", "by-link": "d/up/to-file", "to-nothing": "d/none"} {
		if got, err := os.Readlink(filepath.Join(target, link)); err != nil || got != want {
			t.Errorf("%s leads to %q, %v, want %q", link, got, err, want)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(zipOf(f, entry("a.txt", strings.Repeat("words ", 1000)), entry("d/b.txt", "two"), entry("d/", "")))
	f.Add(zipOf(f, entry("../evil", "2")))
	f.Add(overlapping())
	f.Add(zipOf(f, special("link", fs.ModeSymlink|0o777)))
	f.Fuzz(func(t *testing.T, body []byte) {
		_, there, err := unpack(t, body, archive.Limits{Files: 100, Size: 1 << 20})
		if err != nil && len(there) > 0 {
			t.Errorf("after %v there is %v", err, there)
		}
		for _, name := range there {
			if name != "into" && !strings.HasPrefix(name, "into/") {
				t.Errorf("%s lies outside", name)
			}
		}
	})
}
