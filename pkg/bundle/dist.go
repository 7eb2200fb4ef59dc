package bundle

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// own finds the distribution of every file by the RECORD files, whose format is
// that of https://packaging.python.org/en/latest/specifications/recording-installed-packages/.
func (s *stage) own() error {
	owner := map[string]string{}
	for _, file := range s.files {
		if !isRecord(file.path) {
			continue
		}
		lines, err := readRecord(file)
		if err != nil {
			return err
		}
		for _, line := range lines {
			owner[line[0]] = distName(file.path)
		}
	}
	for i := range s.files {
		file := &s.files[i]
		file.dist = owner[file.path]
		if isInfo(file.path) {
			file.dist = distName(file.path)
		}
	}
	return nil
}

func isRecord(name string) bool { return isInfo(name) && path.Base(name) == "RECORD" }

// distName turns numpy-2.4.6.dist-info/RECORD into "numpy 2.4.6".
func distName(name string) string {
	folder, _, _ := strings.Cut(name, "/")
	return strings.Replace(strings.TrimSuffix(folder, ".dist-info"), "-", " ", 1)
}

// readRecord gives the lines: path, hash, size. pip names scripts by where they
// would lie without --target; they lie in the folder itself.
func readRecord(file staged) ([][]string, error) {
	text, err := os.ReadFile(file.onDisk)
	if err != nil {
		return nil, diskFault("read "+file.path, err)
	}
	reader := csv.NewReader(bytes.NewReader(text))
	reader.FieldsPerRecord = -1
	lines, err := reader.ReadAll()
	if err != nil {
		return nil, fault.Newf(fault.Remote, "read %s: %w", file.path, err).Hintf("the wheel is damaged: choose another version")
	}
	for _, line := range lines {
		line[0] = strings.TrimPrefix(path.Clean(strings.ReplaceAll(line[0], `\`, "/")), "../../")
	}
	return lines, nil
}

// records makes every RECORD tell of the files that are packed, and of no others.
func (s *stage) records() error {
	kept := map[string]*staged{}
	for i := range s.files {
		kept[s.files[i].path] = &s.files[i]
	}
	for i := range s.files {
		file := &s.files[i]
		if !isRecord(file.path) {
			continue
		}
		lines, err := readRecord(*file)
		if err != nil {
			return err
		}
		if file.content, err = newRecord(lines, kept); err != nil {
			return err
		}
		file.size = int64(len(file.content))
	}
	return nil
}

func newRecord(lines [][]string, kept map[string]*staged) ([]byte, error) {
	var out [][]string
	for _, line := range lines {
		file, ok := kept[line[0]]
		if !ok {
			continue
		}
		if file.content != nil && !isRecord(file.path) {
			sum := sha256.Sum256(file.content)
			hash := "sha256=" + base64.RawURLEncoding.EncodeToString(sum[:])
			line = []string{line[0], hash, strconv.Itoa(len(file.content))}
		}
		out = append(out, line)
	}
	slices.SortFunc(out, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	var text bytes.Buffer
	writer := csv.NewWriter(&text)
	err := writer.WriteAll(out)
	return text.Bytes(), err
}

// scripts gives the console scripts in bin/ the image's interpreter, and tells
// them where their libraries are if PYTHONPATH does not. The folder is last on
// the image's PATH, so that no script hides a program of the base.
func (s *stage) scripts(job *installation) error {
	first := "#!/usr/bin/env python" + job.python + "\n"
	if job.alone {
		first += "import sys; sys.path.insert(1, \"/" + libFolder + "\")\n"
	}
	for i := range s.files {
		file := &s.files[i]
		if path.Dir(file.path) != "bin" {
			continue
		}
		content, err := withInterpreter(file.onDisk, first)
		if err != nil {
			return diskFault("read "+file.path, err)
		}
		if content != nil {
			file.content, file.size, file.mode = content, int64(len(content)), 0o755
		}
	}
	return nil
}

// withInterpreter gives a Python script with another beginning, and nil for
// any other program. Where the interpreter's path is long or has a space,
// installers write three lines that /bin/sh and Python both can read.
func withInterpreter(name, first string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	reader := bufio.NewReader(file)
	if start, _ := reader.Peek(2); string(start) != "#!" {
		return nil, nil
	}
	script, err := io.ReadAll(reader)
	if err != nil {
		return nil, err
	}
	line, rest, _ := bytes.Cut(script, []byte("\n"))
	if bytes.HasPrefix(line, []byte("#!/bin/sh")) && bytes.HasPrefix(rest, []byte("'''exec'")) {
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
		return append([]byte(first), rest...), nil
	}
	if !bytes.Contains(line, []byte("python")) {
		return nil, nil
	}
	return append([]byte(first), rest...), nil
}
