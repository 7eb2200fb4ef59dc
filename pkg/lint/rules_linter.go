package lint

// The linter's own rules have no hooks: it reports them where it comes upon them.
const (
	ruleUnreadable    = "TL901"
	ruleLarge         = "TL902"
	ruleTooMany       = "TL903"
	ruleTooDeep       = "TL904"
	ruleLink          = "TL905"
	ruleNotNotebook   = "TL906"
	ruleFaultyIgnore  = "TL907"
	ruleUnusedIgnore  = "TL908"
	ruleStaleBaseline = "TL909"
	ruleUnknown       = "TL910"
)

// linterRules are about the linter itself, and what it could not look at: family 9.
func linterRules() []Rule {
	return append(limitRules(), silencingRules()...)
}

func limitRules() []Rule {
	return []Rule{{
		ID: ruleUnreadable, Name: "unreadable-file", Severity: Minor,
		Looks:  "files, folders and links that cannot be read",
		Why:    "mllint ignores the exit code of the tools it runs and exits with 0 itself: what could not be looked at looked clean (github.com/bvobart/mllint)",
		Advice: "let the user who runs the linter read it, or exclude it under lint.exclude in towline.yaml",
		Bad:    Example{Files: map[string]string{"requirements.txt": ""}, Closed: []string{"requirements.txt"}, At: "requirements.txt"},
		Good:   Example{Files: map[string]string{"requirements.txt": ""}},
	}, {
		ID: ruleLarge, Name: "file-not-looked-into", Severity: Minor,
		Looks:  "source files, notebooks and configuration that are too large to be looked into",
		Why:    "GitHub's search leaves out files above a few hundred KB and does not say so in its results (docs.github.com, About searching on GitHub): a bound that nobody is told of hides findings",
		Advice: "split the file, or exclude it under lint.exclude in towline.yaml if it is generated",
		Bad:    Example{Sizes: map[string]int64{"table.py": 5 << 20}, At: "table.py"},
		Good:   Example{Sizes: map[string]int64{"table.py": 1 << 10}},
	}, {
		ID: ruleTooMany, Name: "too-many-files", Severity: Major,
		Looks:  "repositories of more than 1,000,000 files and folders",
		Why:    "data sets of single images in the work tree make every tool that walks it slow: the training set of ImageNet (ILSVRC 2012) has 1,281,167 files",
		Advice: "keep data outside of the repository, or list its folder in .gitignore",
		Bad:    Example{Files: map[string]string{"a.txt": "", "b.txt": "", "c.txt": ""}, Limits: Limits{Files: 2}, At: "."},
		Good:   Example{Files: map[string]string{"a.txt": "", "b.txt": ""}, Limits: Limits{Files: 2}},
	}, {
		ID: ruleTooDeep, Name: "folders-too-deep", Severity: Minor,
		Looks:  "folders nested more than 100 deep",
		Why:    "a folder that a broken script nested in itself reaches the length of paths that operating systems allow, and can then be neither packaged nor removed",
		Advice: "remove the nested folders",
		Bad:    Example{Files: map[string]string{"a/b/c/d.txt": ""}, Limits: Limits{Depth: 2}, At: "a/b/c"},
		Good:   Example{Files: map[string]string{"a/b/d.txt": ""}, Limits: Limits{Depth: 2}},
	}, {
		ID: ruleLink, Name: "link-leaves-repository", Severity: Minor, In: map[Profile]Severity{Production: Major},
		Looks:  "symbolic links that lead out of the repository, or nowhere",
		Why:    "git keeps a link as the text of its target: one to a folder of a laptop is broken in every other clone, in the pipeline and in the image",
		Advice: "put the file into the repository, or name its place as a channel of the training",
		Bad:    Example{Links: map[string]string{"data": "/home/me/data"}, At: "data"},
		Good:   Example{Files: map[string]string{"data/train.csv": "a\n"}, Links: map[string]string{"train.csv": "data/train.csv"}},
	}, {
		ID: ruleNotNotebook, Name: "unreadable-notebook", Severity: Minor,
		Looks:  "notebooks that are not JSON, as after an unresolved merge",
		Why:    "git merges notebooks line by line and leaves conflict marks that Jupyter cannot open (nbdime was written for that)",
		Advice: "restore the notebook from git, and merge notebooks with nbdime",
		Bad:    Example{Files: map[string]string{"a.ipynb": "<<<<<<< HEAD\n{}\n"}, At: "a.ipynb"},
		Good:   Example{Files: map[string]string{"a.ipynb": `{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}`}},
	}}
}

func silencingRules() []Rule {
	return []Rule{{
		ID: ruleFaultyIgnore, Name: "ignore-without-reason", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "comments that silence a rule without a reason, or name no rule that there is; they silence nothing",
		Why:    "bare `# noqa` hides every later mistake of the line too, which is why ruff has the rules PGH004 and RUF100",
		Advice: "write it as: # towline: ignore TL301 reason",
		Bad:    Example{Files: map[string]string{"train.py": "import os\nx = 1  # towline: ignore TL101\n"}, At: "train.py:2"},
		Good:   Example{Files: map[string]string{"train.py": "import os\nx = 1  # towline: ignore TL101 made by hand\n"}},
	}, {
		ID: ruleUnusedIgnore, Name: "unused-ignore", Severity: Minor,
		Looks:  "comments that silence a rule where it finds nothing",
		Why:    "what was silenced once stays silenced when the line becomes wrong again; ESLint and ruff report such comments for that reason",
		Advice: "remove the comment",
		Bad:    Example{Files: map[string]string{"train.py": "x = 1  # towline: ignore TL101 made by hand\n"}, At: "train.py:1"},
		Good:   Example{Files: map[string]string{"train.py": "x = 1\n"}},
	}, {
		ID: ruleStaleBaseline, Name: "stale-baseline", Severity: Minor,
		Looks:  "entries of the baseline that nothing is found for any more",
		Why:    "an entry that is left hides the same mistake when it comes back; PHPStan and detekt report them for that reason",
		Advice: "write the baseline anew: towline lint --write-baseline",
		Bad: Example{
			Files:    map[string]string{"train.py": "x = 1\n", BaselineFile: "{}\n"},
			Baseline: &Baseline{Findings: []Known{{Fingerprint: "0123", Tool: Own, Rule: "TL101", Path: "train.py"}}}, At: BaselineFile,
		},
		Good: Example{Files: map[string]string{"train.py": "x = 1\n", BaselineFile: "{}\n"}, Baseline: &Baseline{}},
	}, {
		ID: ruleUnknown, Name: "unknown-rule", Severity: Minor,
		Looks:  "settings in towline.yaml for rules that there are not",
		Why:    "a mistyped rule in a linter's settings switches nothing off and nobody is told; pylint has unknown-option-value for that",
		Advice: "see towline lint --list for the rules there are",
		Bad: Example{
			Files:    map[string]string{"towline.yaml": settingsExample("TL999")},
			Settings: Settings{Severity: map[string]Severity{"TL999": Off}}, At: "towline.yaml:8",
		},
		Good: Example{
			Files:    map[string]string{"towline.yaml": settingsExample("TL101")},
			Settings: Settings{Severity: map[string]Severity{"TL101": Off}},
		},
	}}
}

func settingsExample(rule string) string {
	return "apiVersion: towline/v1\nproject: shop\nmodels:\n  - name: demand\n    train: {command: [python, train.py]}\n" +
		"lint:\n  rules:\n    " + rule + ": {severity: off}\n"
}
