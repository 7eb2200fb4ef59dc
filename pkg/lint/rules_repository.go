package lint

import "bytes"

// repositoryRules are about the files as such: family 1.
func repositoryRules() []Rule {
	return []Rule{{
		ID: "TL101", Name: "large-file", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "files of more than 10 MB that git tracks",
		Why:    "a file in git is in every clone for ever: GitHub refuses files over 100 MB, and removing one means rewriting history (docs.github.com, About large files)",
		Advice: "keep the file in S3 and name it as a channel of the training, or track it with git-lfs",
		Bad:    Example{Sizes: map[string]int64{"data/train.csv": 11 << 20}, At: "data/train.csv"},
		Good:   Example{Sizes: map[string]int64{"data/sample.csv": 1 << 20}},
		File:   largeFile,
	}}
}

const largestFile = 10 << 20

func largeFile(f *File, r *Report) {
	if f.Size > largestFile && f.Repo.Tracked(f.Path) && !bytes.HasPrefix(f.Head(64), []byte("version https://git-lfs.github.com/spec/")) {
		r.Whole(f, "the file has %d MB", f.Size>>20)
	}
}
