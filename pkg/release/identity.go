package release

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// File is one file that a model is made from.
type File struct {
	Path   string `json:"path"` // slash-separated, relative to the repository's root
	Exec   bool   `json:"exec,omitempty"`
	SHA256 string `json:"sha256"` // of the contents, hexadecimal
}

// Inputs are all that could change a model. No commit, no time and no digest
// of an image manifest is among them: what only describes the model cannot
// make another one of it.
type Inputs struct {
	Code            []File            `json:"code,omitempty"`     // the tree of its code paths
	Locks           []File            `json:"locks,omitempty"`    // what its dependencies are pinned by
	Base            string            `json:"base,omitempty"`     // image reference with its digest, or scratch
	Platform        string            `json:"platform,omitempty"` // os/arch[/variant]
	Python          string            `json:"python,omitempty"`   // minor version
	Layout          string            `json:"layout,omitempty"`   // version of the image's layout
	Programs        []string          `json:"programs,omitempty"` // folders on the image's PATH
	ImageEnv        map[string]string `json:"image_env,omitempty"`
	User            string            `json:"user,omitempty"`
	Train           []string          `json:"train,omitempty"`    // command
	Serve           []string          `json:"serve,omitempty"`    // command
	Evaluate        []string          `json:"evaluate,omitempty"` // file and command; nil for a model that is measured by its training alone
	Hyperparameters map[string]string `json:"hyperparameters,omitempty"`
	TrainEnv        map[string]string `json:"train_env,omitempty"`
	Data            map[string]string `json:"data,omitempty"` // channel → digest, or URI of data that is only referred to
	Seed            string            `json:"seed,omitempty"`
}

// identityFormat names the encoding below. Another encoding needs another
// name, for every model's identity changes with it.
const identityFormat = "towline identity 1"

// Identity is the sha256 of the inputs, in hexadecimal, 64 characters.
//
// The encoding is a sequence of texts, each written as its length in bytes in
// decimal, a colon, and the text. The first is "towline identity 1"; then
// come, each after its name, the fields in the order of Inputs. A list is its
// length and its items; a map its length and its pairs, in the order of their
// keys; files are in the order of their paths, each as path, "x" or "-", and
// hash. So no two inputs share an encoding, and the order in which files and
// keys are given does not matter. Evaluate, and what an image has of its own
// (programs, variables, a user), come last, and only if they are there: models
// that had an identity before they were among the inputs keep theirs.
func Identity(in Inputs) string {
	e := encoder{sha256.New()}
	e.text(identityFormat)
	e.files("code", in.Code)
	e.files("locks", in.Locks)
	e.text("base", in.Base)
	e.text("platform", in.Platform)
	e.text("python", in.Python)
	e.text("layout", in.Layout)
	e.list("train", in.Train)
	e.list("serve", in.Serve)
	e.pairs("hyperparameters", in.Hyperparameters)
	e.pairs("train env", in.TrainEnv)
	e.pairs("data", in.Data)
	e.text("seed", in.Seed)
	if len(in.Evaluate) > 0 {
		e.list("evaluate", in.Evaluate)
	}
	if len(in.Programs) > 0 || len(in.ImageEnv) > 0 || in.User != "" {
		e.list("programs", in.Programs)
		e.pairs("image env", in.ImageEnv)
		e.text("user", in.User)
	}
	return hex.EncodeToString(e.Sum(nil))
}

type encoder struct{ hash.Hash }

func (e encoder) text(texts ...string) {
	for _, text := range texts {
		e.Write([]byte(strconv.Itoa(len(text)) + ":" + text)) // a hash never fails
	}
}

func (e encoder) list(name string, items []string) {
	e.text(name, strconv.Itoa(len(items)))
	e.text(items...)
}

func (e encoder) pairs(name string, pairs map[string]string) {
	e.text(name, strconv.Itoa(len(pairs)))
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		e.text(key, pairs[key])
	}
}

func (e encoder) files(name string, files []File) {
	e.text(name, strconv.Itoa(len(files)))
	for _, file := range slices.SortedFunc(slices.Values(files), byPath) {
		mode := "-"
		if file.Exec {
			mode = "x"
		}
		e.text(file.Path, mode, strings.ToLower(file.SHA256))
	}
}

func byPath(a, b File) int {
	if order := strings.Compare(a.Path, b.Path); order != 0 {
		return order
	}
	return strings.Compare(a.SHA256, b.SHA256)
}
