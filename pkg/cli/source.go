package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/archive"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/workspace"
)

// fromFlag is the flag of commands that work on a source that was handed over.
func (a *app) fromFlag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&a.from, "from", "",
		"work on the source that was handed over: its source.tar, or the folder it was fetched into (TOWLINE_FROM)")
	return cmd
}

// handed is a source of another project, unpacked.
type handed struct {
	record.Handover
	rec record.Record
}

// handedRepository is the repository that was handed over. Its source lies
// within this project's workspace, which holds what is made of it.
func (a *app) handedRepository(root string) (repository, error) {
	from := a.from
	if !filepath.IsAbs(from) {
		from = filepath.Join(root, from)
	}
	document, err := findHandover(from, a.model)
	if err != nil {
		return repository{}, err
	}
	h, err := readHandover(document)
	if err != nil {
		return repository{}, err
	}
	folder := filepath.Dir(document)
	rec, err := handedRecord(folder, h)
	if err != nil {
		return repository{}, err
	}
	ws, err := workspace.Open(root)
	if err != nil {
		return repository{}, err
	}
	if err := ws.Create(); err != nil {
		return repository{}, err
	}
	source, err := unpackSource(filepath.Join(folder, record.SourceFile), ws, h)
	if err != nil {
		return repository{}, err
	}
	m, err := manifest.Read(os.DirFS(source))
	if err != nil {
		return repository{}, err
	}
	model, ok := m.Model(h.Model)
	if !ok || m.Project != h.Project {
		return repository{}, fault.Newf(fault.Repository, "read the hand-over of %s/%s: its %s has no such model", h.Project, h.Model, manifest.File).
			Hintf("let upstream run towline handover again")
	}
	// The other models' folders did not come with it.
	m.Models, m.Linked = []manifest.Model{model}, nil
	if err := manifest.Check(m, os.DirFS(source)); err != nil {
		return repository{}, err
	}
	cache, err := a.cache()
	if err != nil {
		cache = ""
	}
	return repository{root: source, manifest: m, workspace: ws, cache: cache, handed: &handed{h, rec}}, nil
}

// findHandover finds the document that goes with a source.
func findHandover(from, model string) (string, error) {
	info, err := os.Stat(from)
	if err != nil {
		return "", fault.Newf(fault.Missing, "--from %s: no such file or folder", from).Hintf("run towline fetch first")
	}
	if !info.IsDir() {
		from = filepath.Dir(from)
	}
	var found []string
	for _, pattern := range []string{
		record.HandoverFile, filepath.Join("*", record.HandoverFile), filepath.Join(workspace.Folder, "*", record.HandoverFile),
	} {
		matches, err := filepath.Glob(filepath.Join(escapeGlob(from), pattern))
		if err != nil {
			return "", err
		}
		found = append(found, matches...)
	}
	var models []string
	var chosen []string
	for _, document := range found {
		h, err := readHandover(document)
		if err != nil {
			return "", err
		}
		models = append(models, h.Model)
		if model == "" || h.Model == model {
			chosen = append(chosen, document)
		}
	}
	switch {
	case len(found) == 0:
		return "", fault.Newf(fault.Missing, "--from %s: no %s there", from, record.HandoverFile).
			Hintf("let the upstream job run towline handover, and keep what it writes together")
	case len(chosen) == 0:
		return "", fault.Newf(fault.Usage, "--model %s: handed over was %s", model, strings.Join(models, ", "))
	case len(chosen) > 1:
		return "", fault.Newf(fault.Usage, "--from %s: which model? there are %s", from, strings.Join(models, ", ")).
			Hintf("pass --model NAME or set TOWLINE_MODEL")
	}
	return chosen[0], nil
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// handedRecord reads the record that came with a hand-over.
func handedRecord(folder string, h record.Handover) (record.Record, error) {
	body, err := os.ReadFile(filepath.Join(folder, record.File))
	if err != nil {
		return record.Record{}, fault.Newf(fault.Missing, "read the hand-over of %s: no %s beside it", h.Model, record.File).
			Hintf("fetch all of it: without --path, or with --path %s", workspace.Folder)
	}
	if sum := sumBytes(body); sum != h.Files[0].SHA256 {
		return record.Record{}, mismatch(record.File, sum, h.Files[0].SHA256)
	}
	rec, err := record.Unmarshal(body)
	if err != nil {
		return record.Record{}, err
	}
	if rec.Model != h.Model || rec.Project != h.Project || rec.Source.Commit != h.Commit {
		return record.Record{}, fault.Newf(fault.Repository, "read the hand-over of %s: the record beside it is of another release", h.Model).
			Hintf("let upstream run towline version and towline handover in one pipeline")
	}
	return rec, nil
}

func sumBytes(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func mismatch(name, found, want string) error {
	return fault.Newf(fault.Conflict, "check the hand-over: sha256 of %s is %s, wanted %s", name, found, want).
		Hintf("fetch it again; something changed the file")
}

// unpackSource unpacks the source into the workspace, once for each digest. A
// folder that is there is used if nothing in it was changed.
func unpackSource(tar string, ws *workspace.Workspace, h record.Handover) (string, error) {
	body, err := os.ReadFile(tar)
	if err != nil {
		return "", fault.Newf(fault.Missing, "read the hand-over of %s: no %s beside it", h.Model, record.SourceFile).
			Hintf("fetch all of it: without --path, or with --path %s", workspace.Folder)
	}
	if sum := sumBytes(body); sum != h.Source.SHA256 {
		return "", mismatch(record.SourceFile, sum, h.Source.SHA256)
	}
	target := filepath.Join(ws.Dir(), "source", h.Source.SHA256[:16])
	staging, err := archive.Stage(target)
	if err != nil {
		return "", err
	}
	defer staging.Abort()
	if _, err := archive.Untar(bytes.NewReader(body), staging, archive.Limits{}); err != nil {
		return "", err
	}
	if sameFolder(staging.Dir(), target) {
		return target, nil
	}
	return target, staging.Commit()
}

// drafted is the version of a release that was handed over.
func (h *handed) drafted() drafted {
	committed, err := time.Parse(time.RFC3339, h.Committed)
	if err != nil {
		committed = time.Time{}
	}
	return drafted{versioned: versioned{Version: h.rec.Version, source: h.rec.Source}, committed: committed}
}

// ownSource refuses commands that are about this repository's own history.
func (a *app) ownSource(what string) error {
	if a.from == "" {
		return nil
	}
	return fault.Newf(fault.Usage, "%s: the source was handed over (--from, TOWLINE_FROM), and its versions are upstream's", what).
		Hintf("run it in the upstream project")
}

// sameFolder says whether two folders hold the same files.
func sameFolder(a, b string) bool {
	list, err := folderSums(a)
	other, err2 := folderSums(b)
	return err == nil && err2 == nil && slices.Equal(list, other)
}

func folderSums(dir string) ([]string, error) {
	var all []string
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Mode()&os.ModeSymlink != 0 {
			to, err := os.Readlink(path)
			all = append(all, rel+" -> "+to)
			return err
		}
		sum, _, err := sumOf(path)
		all = append(all, rel+" "+info.Mode().String()+" "+sum)
		return err
	})
	return all, err
}
