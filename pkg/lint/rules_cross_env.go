package lint

import (
	"path"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/lint/python"
)

// closure are the files of the model that a file imports, itself first.
func (m *Model) closure(entry *File) []*File {
	list := []*File{entry}
	for i := 0; i < len(list); i++ {
		for _, im := range list[i].Python().Imports {
			for _, f := range m.imported(list[i], im) {
				if !slices.Contains(list, f) && len(list) < mostFollowed {
					list = append(list, f)
				}
			}
		}
	}
	return list
}

// mostFollowed is how many files imports are followed into.
const mostFollowed = 200

// imported are the files of the repository that an import takes in.
func (m *Model) imported(from *File, im python.Import) []*File {
	name := strings.ReplaceAll(im.Module, ".", "/")
	folders := append([]string{path.Dir(from.Path), path.Clean(m.Path)}, m.Shared...)
	if im.Level > 0 {
		up := path.Dir(from.Path)
		for range im.Level - 1 {
			up = path.Dir(up)
		}
		folders = []string{up}
	}
	var list []*File
	for _, folder := range folders {
		for _, stem := range []string{path.Join(folder, name), path.Join(folder, name, im.Name)} {
			for _, candidate := range []string{stem + ".py", stem + "/__init__.py"} {
				if f, ok := m.Repo.File(candidate); ok {
					list = append(list, f)
				}
			}
		}
	}
	return list
}

// read is one use of a variable of the environment that fails without it.
type read struct {
	name  string
	start uint32
	in    code
}

// reads are the variables that a file takes by os.environ["NAME"], where
// nothing asks before whether they are there.
func (c code) reads() []read {
	if !strings.Contains(c.Text, "environ") {
		return nil
	}
	written := map[string]bool{}
	for _, a := range c.Assigns {
		if c.Kind(a.Target) == python.ExprSubscript {
			name, _ := c.literal(c.Right(a.Target))
			written[name] = true
		}
	}
	var list []read
	for e := range c.All(python.ExprSubscript) {
		name, ok := c.literal(c.Right(e))
		if ok && !written[name] && strings.HasPrefix(name, "SM_") && c.Name(c.Left(e)) == "os.environ" && !c.guarded(c.StmtOf(e)) && !c.chosen(e, name) {
			list = append(list, read{name, c.Extent(e).Start, c})
		}
	}
	return list
}

// chosen says whether a statement asks itself whether the variable is there.
func (c code) chosen(e python.Expr, name string) bool {
	s := c.Stmts[c.StmtOf(e)]
	line := c.Text[s.Start:min(s.End, s.Start+2000)]
	return strings.Contains(line, name+`" in `) || strings.Contains(line, name+"' in ")
}

func missingChannel() Rule {
	files := func(channel string) map[string]string {
		return map[string]string{
			"towline.yaml":  jobManifest("      channels: {"+channel+": data}\n", ""),
			"train.py":      "import os\n\ndata = os.environ[\"SM_CHANNEL_TRAIN\"]\nprint(os.environ[\"SM_MODEL_DIR\"])\n",
			"data/rows.csv": "1\n",
		}
	}
	return Rule{
		ID: "TL505", Name: "missing-channel", Severity: Critical,
		Looks:  "SM_CHANNEL_… variables that the training must have, for channels that the manifest does not name",
		Why:    "KeyError: 'SM_CHANNEL_TRAINING' or 'SM_CHANNEL_TRAIN' ended trainings that called the channel otherwise, or not at all (awsdocs/amazon-sagemaker-developer-guide#251, aws/amazon-sagemaker-examples#995)",
		Advice: "name the channel in train.channels as the code does",
		Bad:    Example{Files: files("training"), At: "train.py:3"},
		Good:   Example{Files: files("train")},
		Model: func(m *Model, r *Report) {
			m.trainingReads(func(read read) {
				channel, ok := strings.CutPrefix(read.name, "SM_CHANNEL_")
				if !ok {
					return
				}
				for name := range m.Train.Channels {
					if variableName(name) == channel {
						return
					}
				}
				read.in.found(r, read.start, "the manifest names no channel %s, so %s is not set", strings.ToLower(channel), read.name)
			})
		},
	}
}

// trainingReads calls look for each variable that the training must have and
// that the manifest does not set.
func (m *Model) trainingReads(look func(read)) {
	c, ok := m.training()
	if !ok {
		return
	}
	for _, f := range m.closure(c.in) {
		for _, read := range (code{f.Python(), f}).reads() {
			if _, set := m.Train.Environment[read.name]; !set {
				look(read)
			}
		}
	}
}

// trainingVariables and servingVariables are what Towline's entries set, other
// than channels and hyperparameters.
var (
	trainingVariables = []string{"SM_MODEL_DIR", "SM_OUTPUT_DIR", "SM_OUTPUT_DATA_DIR", "SM_NUM_CPUS", "SM_NUM_GPUS", "SM_HOSTS", "SM_CURRENT_HOST", "SM_CHANNELS", "SM_HPS", "SM_TRAINING_ENV"}
	servingVariables  = []string{"SM_MODEL_DIR"}
)

func unsetVariable() Rule {
	files := func(name string) map[string]string {
		return map[string]string{
			"towline.yaml": jobManifest("", ""),
			"train.py":     "import os\n\nprint(os.environ[\"SM_MODEL_DIR\"], os.environ[\"" + name + "\"])\n",
		}
	}
	return Rule{
		ID: "TL506", Name: "unset-variable", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "SM_* variables that the code must have, and that nothing sets in an image of Towline: misspelt ones, those of other toolkits, SM_HP_… of no hyperparameter",
		Why:    "SM_* variables come from the image's entry, not from SageMaker: in a container of its own making a training ended with KeyError at SM_OUTPUT_DATA_DIR (aws/sagemaker-python-sdk#2521)",
		Advice: "use one of the variables that are set, or give a default: os.environ.get(NAME, …)",
		Bad:    Example{Files: files("SM_INPUT_CONFIG_DIR"), At: "train.py:3"},
		Good:   Example{Files: files("SM_OUTPUT_DATA_DIR")},
		Model: func(m *Model, r *Report) {
			m.trainingReads(func(read read) {
				if hp, ok := strings.CutPrefix(read.name, "SM_HP_"); ok {
					for name := range m.Train.Hyperparameters {
						if variableName(name) == hp {
							return
						}
					}
				}
				if !strings.HasPrefix(read.name, "SM_CHANNEL_") && !slices.Contains(trainingVariables, read.name) {
					read.in.found(r, read.start, "nothing sets %s in a training", read.name)
				}
			})
			if m.Serve == nil {
				return
			}
			f, ok := m.Entry(m.Serve.Command)
			if trained, same := m.Entry(m.Train.Command); !ok || same && trained == f {
				return
			}
			for _, read := range (code{f.Python(), f}).reads() {
				if _, set := m.Serve.Environment[read.name]; !set && !slices.Contains(servingVariables, read.name) {
					read.in.found(r, read.start, "nothing sets %s in an endpoint", read.name)
				}
			}
		},
	}
}

func gpuWeights() Rule {
	files := func(load string) map[string]string {
		return map[string]string{
			"towline.yaml": jobManifest("      instance: ml.g5.xlarge\n", "    serve: {command: [python, serve.py], instance: ml.m5.large}\n"),
			"train.py":     "import os\n\nprint(os.environ[\"SM_MODEL_DIR\"])\n",
			"serve.py":     "import os\nimport torch\n\nmodel = " + load + "\n",
		}
	}
	return Rule{
		ID: "TL511", Name: "gpu-weights", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "torch.load without map_location in a server on a CPU, for a model that is trained on a GPU",
		Why:    "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False: so ended loading in hkchengrex/Cutie (#37) and ComfyUI_LayerStyle_Advance (chflame163/ComfyUI_LayerStyle_Advance#21)",
		Advice: "pass map_location=\"cpu\", or the device that is there",
		Bad:    Example{Files: files("torch.load(os.environ[\"SM_MODEL_DIR\"] + \"/model.pt\")"), At: "serve.py:4"},
		Good:   Example{Files: files("torch.load(os.environ[\"SM_MODEL_DIR\"] + \"/model.pt\", map_location=\"cpu\")")},
		Model: func(m *Model, r *Report) {
			if m.Serve == nil || !hasGPU(m.Train.Instance) || hasGPU(m.Serve.Instance) {
				return
			}
			f, ok := m.Entry(m.Serve.Command)
			if !ok || m.codeSays(".cpu()", `.to("cpu")`, ".to('cpu')") {
				return
			}
			c := code{f.Python(), f}
			for _, call := range c.Calls {
				if call.Name == "torch.load" && call.Either(1, "map_location") == 0 && !call.Unpacks() {
					c.found(r, call.Start, "weights of %s do not load on %s", m.Train.Instance, m.Serve.Instance)
				}
			}
		},
	}
}

// hasGPU says whether an instance type has GPUs of NVIDIA.
func hasGPU(instance string) bool {
	return strings.HasPrefix(instance, "ml.p") || strings.HasPrefix(instance, "ml.g") && !strings.HasPrefix(instance, "ml.gd")
}

func pickledInMain() Rule {
	const save = "import os\nimport joblib\n%s\n\njoblib.dump(Ratio(), os.environ[\"SM_MODEL_DIR\"] + \"/model.joblib\")\n"
	const class = "from sklearn.base import BaseEstimator\n\n\nclass Ratio(BaseEstimator):\n    pass\n"
	manifest := jobManifest("", serveLines)
	serve := "import os\nimport joblib\n\nmodel = joblib.load(os.environ[\"SM_MODEL_DIR\"] + \"/model.joblib\")\n"
	return Rule{
		ID: "TL512", Name: "pickled-in-main", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "estimators that the training's own file defines and pickles, and that the server loads",
		Why:    "Can't get attribute 'CustomImputer' on <module '__main__' from gunicorn> kept an endpoint from starting (aws/sagemaker-scikit-learn-container#157), and text_process was missing the same way on Lambda (Miserlou/Zappa#1767)",
		Advice: "move the class into a module that train and serve both import",
		Bad:    Example{Files: map[string]string{"towline.yaml": manifest, "train.py": strings.Replace(save, "%s", class, 1), "serve.py": serve}, At: "train.py:6"},
		Good:   Example{Files: map[string]string{"towline.yaml": manifest, "train.py": strings.Replace(save, "%s", "from ratio import Ratio", 1), "ratio.py": class, "serve.py": serve}},
		Model: func(m *Model, r *Report) {
			c, ok := m.training()
			if !ok || m.Serve == nil || !c.pickles() {
				return
			}
			f, ok := m.Entry(m.Serve.Command)
			if !ok || f == c.in || !(code{f.Python(), f}).unpickles() {
				return
			}
			for _, class := range c.Classes {
				if class.Scope == 0 && c.estimator(class) && c.makes(class.Name) && !f.says([]string{class.Name}) {
					c.found(r, class.Start, "the pickle names __main__.%s, which %s does not have", class.Name, f.Path)
				}
			}
		},
	}
}

func (c code) pickles() bool {
	return slices.ContainsFunc(c.Calls, func(call python.Call) bool {
		return call.Name == "joblib.dump" || call.Name == "pickle.dump" || call.Name == "pickle.dumps"
	})
}

func (c code) unpickles() bool {
	return slices.ContainsFunc(c.Calls, func(call python.Call) bool { return unpicklers[call.Name] })
}

// estimator says whether a class is one of scikit-learn.
func (c code) estimator(class python.Class) bool {
	return slices.ContainsFunc(class.Bases, func(base python.Arg) bool { return python.Root(c.Name(base.Value)) == "sklearn" })
}

// makes says whether an object of a class is made.
func (c code) makes(class string) bool {
	return slices.ContainsFunc(c.Calls, func(call python.Call) bool { return call.Name == class })
}
