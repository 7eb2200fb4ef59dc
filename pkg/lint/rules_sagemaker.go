package lint

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/lint/python"
)

// sagemakerRules are about what SageMaker asks of a model's code: family 4.
func sagemakerRules() []Rule {
	return []Rule{
		notExecutable(), runsNothing(), misspeltGuard(), modelNotWritten(), evaluationNotWritten(), hardCodedOptML(),
		handlerSignature(), handlerConflict(), loopbackBind(), wrongPort(), missingRoute(),
		swallowedFailure(), exitZero(), debugServer(), loadsPerRequest(),
	}
}

func notExecutable() Rule {
	manifest := func(command string) map[string]string {
		return map[string]string{
			"towline.yaml": "apiVersion: towline/v1\nproject: shop\nmodels:\n  - name: demand\n    train:\n      command: " + command + "\n",
			"train.py":     "import json\n\nprint(json.dumps({}))\n",
		}
	}
	return Rule{
		ID: "TL401", Name: "not-executable", Severity: Major,
		Looks:  "commands of the manifest that name a file of the repository which the system cannot run: no x permission, no #! line, or one that ends in CR LF",
		Why:    "exec: \"train\": permission denied ended trainings and endpoints before any code ran (aws/amazon-sagemaker-examples#628, #744; ultralytics/yolov5#6323)",
		Advice: "name the interpreter: [python, train.py]; or chmod +x and write #!/usr/bin/env python3 with a plain line end",
		Bad:    Example{Files: manifest("[./train.py]"), At: "towline.yaml:6"},
		Good:   Example{Files: manifest("[python, train.py]")},
		Model: func(m *Model, r *Report) {
			for key, command := range m.commands() {
				f, ok := m.File(command[0])
				if !ok {
					continue
				}
				first, _, _ := bytes.Cut(f.Head(200), []byte("\n"))
				switch at := m.Position(key + "[0]"); {
				case f.Mode&0o111 == 0:
					r.Manifest(at, "%s has no permission to be executed", f.Path)
				case f.Binary():
				case !bytes.HasPrefix(first, []byte("#!")):
					r.Manifest(at, "%s does not say in a #! line what runs it", f.Path)
				case bytes.HasSuffix(first, []byte("\r")):
					r.Manifest(at, "the #! line of %s ends in CR LF, and so names a program that is not there", f.Path)
				}
			}
		},
	}
}

// commands are what the model's jobs and endpoints run, by key of the manifest.
func (m *Model) commands() map[string][]string {
	list := map[string][]string{}
	for key, command := range commands(m.Model) {
		if len(command) > 0 {
			list[key] = command
		}
	}
	return list
}

// entries are the Python files that the model's commands run.
func (m *Model) entries() []code {
	var list []code
	for _, command := range commands(m.Model) {
		if f, ok := m.Entry(command); ok && !slices.ContainsFunc(list, func(c code) bool { return c.in == f }) {
			list = append(list, code{f.Python(), f})
		}
	}
	return list
}

// training is the Python file that the training runs.
func (m *Model) training() (code, bool) {
	f, ok := m.Entry(m.Train.Command)
	if !ok {
		return code{}, false
	}
	return code{f.Python(), f}, true
}

func runsNothing() Rule {
	return Rule{
		ID: "TL402", Name: "runs-nothing", Severity: Critical,
		Looks:  "entries of train, evaluate and serve that only define functions and classes",
		Why:    "a script that was written for another mode of SageMaker had no code that runs, so its training ended at once and left no model (aws/sagemaker-python-sdk#578)",
		Advice: "call the function: if __name__ == \"__main__\": main()",
		Bad:    Example{Files: map[string]string{"towline.yaml": jobManifest("", ""), "train.py": "def main():\n    print(\"training\")\n"}, At: "train.py:1"},
		Good:   Example{Files: map[string]string{"towline.yaml": jobManifest("", ""), "train.py": "def main():\n    print(\"training\")\n\n\nif __name__ == \"__main__\":\n    main()\n"}},
		Model: func(m *Model, r *Report) {
			for _, c := range m.entries() {
				if c.Error == nil && len(c.Stmts) > 0 && !c.runs() {
					r.At(c.in, 1, 1, "running this file does nothing: it only defines names")
				}
			}
		},
	}
}

// runs says whether running a file does more than to define names.
func (c code) runs() bool {
	for _, i := range c.Body(-1) {
		switch s := c.Stmts[i]; s.Kind {
		case python.StmtExpr:
			if _, text := c.Template(s.Expr); !text {
				return true
			}
		case python.StmtAssign, python.StmtAnnAssign, python.StmtAugAssign:
			if len(c.CallsIn(i)) > 0 {
				return true
			}
		case python.StmtImport, python.StmtFromImport, python.StmtFunctionDef, python.StmtClassDef, python.StmtPass, python.StmtTypeAlias:
		default:
			return true
		}
	}
	return false
}

func misspeltGuard() Rule {
	return Rule{
		ID: "TL403", Name: "misspelt-guard", Severity: Critical,
		Looks:  "comparisons of __name__ with a text that is nearly __main__",
		Why:    "the block never runs, without a word: an entry that does nothing leaves no model, as in aws/sagemaker-python-sdk#578",
		Advice: "write if __name__ == \"__main__\":",
		Bad:    Example{Files: map[string]string{"train.py": "def main():\n    print(\"training\")\n\n\nif __name__ == \"main\":\n    main()\n"}, At: "train.py:5"},
		Good:   Example{Files: map[string]string{"train.py": "def main():\n    print(\"training\")\n\n\nif __name__ == \"__main__\":\n    main()\n"}},
		Python: inCode(func(c code, r *Report) {
			for _, compare := range c.Compares {
				left, right := compare.Left, compare.Right
				if c.Source(right) == "__name__" {
					left, right = right, left
				}
				text, ok := c.literal(right)
				if ok && c.Source(left) == "__name__" && compare.Op == "==" && text != "__main__" && strings.Trim(strings.ToLower(text), "_ ") == "main" {
					c.foundExpr(r, left, "__name__ is never %q: this block does not run", text)
				}
			}
		}),
	}
}

func modelNotWritten() Rule {
	return Rule{
		ID: "TL404", Name: "model-not-written", Severity: Critical,
		Looks:  "trainings whose code, configuration and command name neither SM_MODEL_DIR nor /opt/ml/model nor an option model-dir",
		Why:    "a container saved its model elsewhere, and the job ended well with an empty model.tar.gz (aws/sagemaker-training-toolkit#82, aws/sagemaker-python-sdk#608)",
		Advice: "save the model into the folder os.environ[\"SM_MODEL_DIR\"]",
		Bad:    Example{Files: map[string]string{"towline.yaml": jobManifest("", ""), "train.py": "import joblib\n\njoblib.dump({}, \"model.joblib\")\n"}, At: "train.py"},
		Good:   Example{Files: map[string]string{"towline.yaml": jobManifest("", ""), "train.py": "import os\nimport joblib\n\njoblib.dump({}, os.environ[\"SM_MODEL_DIR\"] + \"/model.joblib\")\n"}},
		Model: func(m *Model, r *Report) {
			if c, ok := m.training(); ok && !m.says("SM_MODEL_DIR", "/opt/ml/model", "model_dir", "model-dir", "SM_TRAINING_ENV") && !m.joinsModel() {
				r.Whole(c.in, "nothing in this model's code names the folder where SageMaker looks for the model")
			}
		},
	}
}

// joinsModel says whether the code puts /opt/ml and model together, as AWS's
// own examples do: os.path.join(prefix, "model").
func (m *Model) joinsModel() bool {
	return m.codeSays("\"/opt/ml", "'/opt/ml") && m.codeSays("\"model\"", "'model'")
}

func evaluationNotWritten() Rule {
	files := func(code string) map[string]string {
		return map[string]string{
			"towline.yaml": jobManifest("", "    evaluate:\n      gate:\n        - {metric: f1, better: higher, at_least: 0.8}\n"),
			"train.py":     code,
		}
	}
	return Rule{
		ID: "TL405", Name: "evaluation-not-written", Severity: Major,
		Looks:  "models with a gate whose code never names the evaluation file",
		Why:    "MLflow's validation passes a candidate whose metric is missing or NaN (mlflow at 0c233949), and a gate without numbers can only refuse: it is known before the job has cost anything",
		Advice: "write {\"metrics\": {…}} to the file evaluate.file names, in the folder os.environ[\"SM_OUTPUT_DATA_DIR\"]",
		Bad:    Example{Files: files("import os\n\nprint(os.environ[\"SM_MODEL_DIR\"])\n"), At: "towline.yaml:8"},
		Good:   Example{Files: files("import json\nimport os\n\nwith open(os.environ[\"SM_OUTPUT_DATA_DIR\"] + \"/evaluation.json\", \"w\") as file:\n    json.dump({\"metrics\": {\"f1\": 0.9}}, file)\n")},
		Model: func(m *Model, r *Report) {
			if m.Evaluate == nil || m.Evaluate.File == "" {
				return
			}
			if _, ok := m.training(); ok && !m.says(path.Base(m.Evaluate.File)) {
				r.Manifest(m.Position("evaluate"), "no code of this model names %s", path.Base(m.Evaluate.File))
			}
		},
	}
}

// says tells whether the model's code, its configuration or its commands hold
// one of those texts.
func (m *Model) says(texts ...string) bool {
	has := func(text string) bool {
		return slices.ContainsFunc(texts, func(want string) bool { return strings.Contains(text, want) })
	}
	for _, command := range m.commands() {
		if has(strings.Join(command, " ")) {
			return true
		}
	}
	for name, value := range m.Train.Hyperparameters {
		if has(name) || has(value) {
			return true
		}
	}
	for name, value := range m.Train.Environment {
		if has(name) || has(value) {
			return true
		}
	}
	return slices.ContainsFunc(m.files, func(f *File) bool { return f.mayConfigure() && f.says(texts) })
}

// mayConfigure says whether a file can hold code or its configuration.
func (f *File) mayConfigure() bool {
	switch path.Ext(f.Path) {
	case ".sh", ".cfg", ".ini", ".conf", ".env", ".gin":
		return true
	}
	return f.Size < 1<<20 && f.Path != "towline.yaml" && (f.Kind == Python || f.Kind == YAML || f.Kind == TOML || f.Kind == JSON) && !aside(f.Path)
}

// says tells whether the file holds one of those texts.
func (f *File) says(texts []string) bool {
	f.mu.Lock()
	held := f.held != nil
	f.mu.Unlock()
	content := f.Bytes()
	if !held {
		f.release()
	}
	holds := func(text string) bool { return bytes.Contains(content, []byte(text)) }
	if f.Kind == JSON && slices.ContainsFunc(reportMarks, holds) {
		return false
	}
	return slices.ContainsFunc(texts, holds)
}

// reportMarks are in the reports and baselines of linters, which name what the
// code lacks.
var reportMarks = []string{`"fingerprint":`, `"ruleId":`, `"check_name":`}
