package lint

import (
	"bytes"
	"path"
	"slices"
)

// repositoryRules are about the files as such: family 1.
func repositoryRules() []Rule {
	return slices.Concat(bigFileRules(), notebookRules(), housekeepingRules())
}

func bigFileRules() []Rule {
	return []Rule{{
		ID: "TL101", Name: "large-file", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "files of more than 10 MB that git tracks",
		Why:    "a file in git is in every clone for ever: GitHub refuses files over 100 MB, and removing one means rewriting history (docs.github.com, About large files)",
		Advice: "keep the file in S3 and name it as a channel of the training, or track it with git-lfs",
		Bad:    Example{Sizes: map[string]int64{"data/train.csv": 11 << 20}, At: "data/train.csv"},
		Good:   Example{Sizes: map[string]int64{"data/sample.csv": 1 << 20}},
		File:   largeFile,
	}, {
		ID: "TL102", Name: "data-in-git", Severity: Minor, In: map[Profile]Severity{Prototype: Info},
		Looks:  "data files and archives between 1 and 10 MB that git tracks, outside of tests",
		Why:    "git keeps every version of a data file whole: that is why DVC and git-lfs exist, and why Cookiecutter Data Science lists /data/ in .gitignore",
		Advice: "keep the data in S3 and name it as a channel of the training; a sample of some hundred lines may stay",
		Bad:    Example{Sizes: map[string]int64{"data/train.parquet": 2 << 20}, At: "data/train.parquet"},
		Good:   Example{Sizes: map[string]int64{"data/sample.csv": 1 << 10}},
		File:   dataInGit,
	}, {
		ID: "TL103", Name: "model-in-git", Severity: Minor, In: map[Profile]Severity{Prototype: Info},
		Looks:  "trained models that git tracks, outside of tests",
		Why:    "a model in git comes from no recorded training, and a pickled one runs code when it is read: JFrog found about a hundred on Hugging Face that did harm (February 2024)",
		Advice: "remove it with git rm --cached, and let the training write it to SM_MODEL_DIR",
		Bad:    Example{Files: map[string]string{"models/best.pt": "PK"}, At: "models/best.pt"},
		Good:   Example{Files: map[string]string{"models/best.pt": "PK"}, Untracked: []string{"models/best.pt"}},
		File:   modelInGit,
	}, {
		ID: "TL104", Name: "lfs-pointer", Severity: Major,
		Looks:  "data and models that are pointers of git-lfs, their content not fetched",
		Why:    "without git-lfs installed a clone has three lines of text in place of the file: `_pickle.UnpicklingError: invalid load key, 'v'` is what PyTorch says to the `version` it begins with",
		Advice: "install git-lfs and run git lfs pull; in GitLab jobs do not set GIT_LFS_SKIP_SMUDGE",
		Bad:    Example{Files: map[string]string{"weights.bin": lfsPointer + "\noid sha256:00\nsize 9\n"}, At: "weights.bin"},
		Good:   Example{Files: map[string]string{"weights.bin": "\x00\x01"}},
		File: func(f *File, r *Report) {
			if f.Size < 1024 && (dataFiles[path.Ext(f.Path)] || modelFiles[path.Ext(f.Path)]) && isPointer(f) {
				r.Whole(f, "the file is a pointer of git-lfs: what it stands for is not here")
			}
		},
	}}
}

const (
	largestFile = 10 << 20
	largestData = 1 << 20
	lfsPointer  = "version https://git-lfs.github.com/spec/v1"
)

// dataFiles and modelFiles are the ends of names that say what a file holds.
var (
	dataFiles = set(".csv", ".tsv", ".parquet", ".feather", ".arrow", ".avro", ".orc", ".npy", ".npz", ".mat", ".h5ad",
		".tfrecord", ".tfrecords", ".rec", ".sqlite", ".db", ".jsonl", ".ndjson", ".xlsx", ".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".tar", ".7z")
	modelFiles = set(".pt", ".pth", ".ckpt", ".safetensors", ".onnx", ".h5", ".hdf5", ".keras", ".tflite", ".joblib", ".pkl",
		".pickle", ".gguf", ".ggml", ".cbm", ".mlmodel", ".bin", ".caffemodel", ".pdparams")
)

func set(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, name := range names {
		m[name] = true
	}
	return m
}

func isPointer(f *File) bool {
	return bytes.HasPrefix(f.Head(len(lfsPointer)), []byte(lfsPointer[:len(lfsPointer)-1]))
}

func largeFile(f *File, r *Report) {
	if f.Size > largestFile && f.Repo.Tracked(f.Path) && !isPointer(f) {
		r.Whole(f, "the file has %d MB", f.Size>>20)
	}
}

func dataInGit(f *File, r *Report) {
	if f.Size < largestData || f.Size > largestFile || !dataFiles[path.Ext(f.Path)] || isTest(f.Path) || !f.Repo.Tracked(f.Path) {
		return
	}
	r.Whole(f, "git tracks %d KB of data", f.Size>>10)
}

func modelInGit(f *File, r *Report) {
	ext := path.Ext(f.Path)
	if !modelFiles[ext] || isTest(f.Path) || !f.Repo.Tracked(f.Path) || isPointer(f) {
		return
	}
	if (ext == ".bin" || ext == ".h5" || ext == ".hdf5") && f.Size < largestData {
		return // these ends stand for much else
	}
	if f.Size > 0 && f.Size <= largestFile {
		r.Whole(f, "git tracks what looks like a trained model")
	}
}
