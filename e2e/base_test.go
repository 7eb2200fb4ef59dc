package e2e_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

// layeredBase writes an OCI layout with an image of so many layers: baseimage
// FOLDER LAYERS PROCESSOR [NAME=VALUE…], where "host" is this machine's processor.
func layeredBase(ts *testscript.TestScript, _ bool, args []string) {
	folder, processor := ts.MkAbs(args[0]), args[2]
	layers, err := strconv.Atoi(args[1])
	ts.Check(err)
	if processor == "host" {
		processor = runtime.GOARCH
	}
	blobs := filepath.Join(folder, "blobs", "sha256")
	ts.Check(os.MkdirAll(blobs, 0o755))
	blob := func(mediaType string, content []byte) map[string]any {
		sum := fmt.Sprintf("%x", sha256.Sum256(content))
		ts.Check(os.WriteFile(filepath.Join(blobs, sum), content, 0o644))
		return map[string]any{"mediaType": mediaType, "digest": "sha256:" + sum, "size": len(content)}
	}
	document := func(mediaType string, of map[string]any) map[string]any {
		text, err := json.Marshal(of)
		ts.Check(err)
		return blob(mediaType, text)
	}
	var list []map[string]any
	var plain []string
	for i := range layers {
		packed, sum := layerOf(ts, fmt.Sprintf("file-%d", i))
		list, plain = append(list, blob("application/vnd.oci.image.layer.v1.tar+gzip", packed)), append(plain, sum)
	}
	config := document("application/vnd.oci.image.config.v1+json", map[string]any{
		"os": "linux", "architecture": processor, "config": map[string]any{"Env": args[3:]},
		"rootfs": map[string]any{"type": "layers", "diff_ids": plain},
	})
	const manifestType = "application/vnd.oci.image.manifest.v1+json"
	manifest := document(manifestType, map[string]any{"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": list})
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []any{manifest}})
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(folder, "index.json"), index, 0o644))
	ts.Check(os.WriteFile(filepath.Join(folder, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644))
}

// layerOf is a layer with one empty file, and the digest of its archive.
func layerOf(ts *testscript.TestScript, name string) (packed []byte, sum string) {
	var plain, out bytes.Buffer
	archive := tar.NewWriter(&plain)
	ts.Check(archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644}))
	ts.Check(archive.Close())
	zip := gzip.NewWriter(&out)
	_, err := zip.Write(plain.Bytes())
	ts.Check(err)
	ts.Check(zip.Close())
	return out.Bytes(), fmt.Sprintf("sha256:%x", sha256.Sum256(plain.Bytes()))
}
