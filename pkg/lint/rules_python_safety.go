package lint

import (
	"strings"
	"sync"

	"gitlab.com/towline/towline/pkg/lint/python"
)

func dynamicCode() Rule {
	return Rule{
		ID: "TL313", Name: "dynamic-code", Severity: Minor, In: map[Profile]Severity{Prototype: Info},
		Looks:  "eval and exec of what is no literal; os.system and shell=True with a command that is put together",
		Why:    "torch.jit.annotations.parse_type_line evaluated what it was given, so that a string ran any code (CVE-2022-45907)",
		Advice: "use ast.literal_eval or json.loads for values, a dict of functions for names, and subprocess.run with a list for programs",
		Bad:    Example{Files: map[string]string{"train.py": "import argparse\n\nparser = argparse.ArgumentParser()\nparser.add_argument(\"--layers\")\nlayers = eval(parser.parse_args().layers)\n"}, At: "train.py:5"},
		Good:   Example{Files: map[string]string{"train.py": "import argparse\nimport json\n\nparser = argparse.ArgumentParser()\nparser.add_argument(\"--layers\", type=json.loads)\nlayers = parser.parse_args().layers\n"}},
		Python: inOwnCode(func(c code, r *Report) {
			for _, call := range c.Calls {
				if text := call.Pos(0); runsText(c, call) && text != 0 && !c.constant(text) {
					c.found(r, call.Start, "%s runs whatever %s holds", call.Name, clip(c.Source(text), 1))
				}
			}
		}),
	}
}

// runsText says whether a call runs its first argument as code or in a shell.
func runsText(c code, call python.Call) bool {
	switch call.Name {
	case "eval", "exec", "os.system", "os.popen", "builtins.eval", "builtins.exec":
		return true
	case "subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.Popen":
		return c.is(call.Arg("shell"), "True")
	}
	return false
}

// constant says whether an expression is a string that is written out, and not
// put together.
func (c code) constant(e python.Expr) bool {
	_, ok := c.literal(e)
	return ok
}

func networkPickle() Rule {
	return Rule{
		ID: "TL314", Name: "network-pickle", Severity: Major,
		Looks:  "pickle, joblib and torch.load of what was just downloaded",
		Why:    "whoever can change the file runs code in the job: vLLM loaded weights from the hub with torch.load, and took it for a vulnerability (GHSA-rh4j-5rhw-hr54)",
		Advice: "put the file into the image or a channel of the training, or use a format without code: safetensors, ONNX, JSON, Parquet",
		Bad:    Example{Files: map[string]string{"serve.py": "import pickle\nimport requests\n\nmodel = pickle.loads(requests.get(\"https://models.example.com/m.pkl\").content)\n"}, At: "serve.py:4"},
		Good:   Example{Files: map[string]string{"serve.py": "import os\nimport pickle\n\nwith open(os.environ[\"SM_MODEL_DIR\"] + \"/m.pkl\", \"rb\") as file:\n    model = pickle.load(file)\n"}},
		Python: inOwnCode(networkPickles),
	}
}

var unpicklers = map[string]bool{
	"pickle.load": true, "pickle.loads": true, "cPickle.loads": true, "dill.load": true, "dill.loads": true, "cloudpickle.load": true, "cloudpickle.loads": true,
	"joblib.load": true, "torch.load": true, "pandas.read_pickle": true, "sklearn.externals.joblib.load": true,
}

func networkPickles(c code, r *Report) {
	var fetched map[scopedName]bool // names that hold what was downloaded, by scope
	for _, call := range c.Calls {
		if !unpicklers[call.Name] || c.is(call.Arg("weights_only"), "True") {
			continue
		}
		if fetched == nil {
			fetched = c.fetched()
		}
		source := call.Pos(0)
		url, _ := c.literal(source)
		name, _ := c.Dotted(source)
		if c.fetches(source) || strings.HasPrefix(url, "http") || fetched[scopedName{call.Scope, python.Root(name)}] {
			c.found(r, call.Start, "%s runs code of whoever can change what is downloaded", call.Name)
		}
	}
}

// fetched are the names that are bound to what was downloaded, by scope.
func (c code) fetched() map[scopedName]bool {
	names := map[scopedName]bool{}
	for _, assign := range c.Assigns {
		if assign.Name != "" && c.fetches(assign.Value) {
			names[scopedName{assign.Scope, assign.Name}] = true
		}
	}
	return names
}

// fetches says whether an expression downloads something.
func (c code) fetches(e python.Expr) bool {
	for _, call := range c.callsIn(e) {
		switch call.Name {
		case "requests.get", "urllib.request.urlopen", "httpx.get", "urllib2.urlopen", "wget.download":
			return true
		}
	}
	return false
}

func torchLoad() Rule {
	return Rule{
		ID: "TL315", Name: "torch-load", Severity: Minor, In: map[Profile]Severity{Prototype: Info},
		Looks:  "torch.load that may run code: weights_only=False, or a pinned torch before 2.6 without weights_only=True",
		Why:    "a weights file is a pickle, and may run code: flash-attention's four such calls are CVE-2026-31253; torch 2.6 turned the default round",
		Advice: "save a state_dict and load it with weights_only=True, or use safetensors",
		Bad:    Example{Files: map[string]string{"serve.py": "import torch\n\nstate = torch.load(\"model.pt\", weights_only=False)\n"}, At: "serve.py:3"},
		Good:   Example{Files: map[string]string{"serve.py": "import torch\n\nstate = torch.load(\"model.pt\", weights_only=True)\n"}},
		Python: inOwnCode(func(c code, r *Report) {
			old := sync.OnceValue(func() bool { return c.in.pinnedBelow("torch", "2.6") })
			for _, call := range c.Calls {
				if call.Name != "torch.load" || call.Unpacks() {
					continue
				}
				only := call.Arg("weights_only")
				if c.is(only, "False") || only == 0 && old() {
					c.found(r, call.Start, "torch.load runs what code the file holds")
				}
			}
		}),
	}
}

func remoteCode() Rule {
	return Rule{
		ID: "TL316", Name: "remote-code", Severity: Minor, In: map[Profile]Severity{Production: Major},
		Looks:  "trust_remote_code=True without a revision, and torch.hub.load of a branch",
		Why:    "docling ran code of repositories of others as they stood that day, until it pinned each to a commit (docling-project/docling#4224): whoever takes over such a repository runs code in the job",
		Advice: "pin revision= to a commit, or bring the model's code into this repository",
		Bad:    Example{Files: map[string]string{"train.py": "from transformers import AutoModel\n\nmodel = AutoModel.from_pretrained(\"org/model\", trust_remote_code=True)\n"}, At: "train.py:3"},
		Good:   Example{Files: map[string]string{"train.py": "from transformers import AutoModel\n\nmodel = AutoModel.from_pretrained(\"org/model\", trust_remote_code=True, revision=\"8d6a1f0c\")\n"}},
		Python: inOwnCode(func(c code, r *Report) {
			for _, call := range c.Calls {
				trust := call.Arg("trust_remote_code")
				pinned := call.Arg("revision") != 0 || call.Arg("code_revision") != 0 || call.Unpacks()
				if c.is(trust, "True") && !pinned {
					c.foundExpr(r, trust, "this runs the code that the model's repository holds on the day of the job")
				}
				if repo, ok := c.literal(call.Pos(0)); ok && call.Name == "torch.hub.load" && strings.Count(repo, "/") == 1 && !strings.Contains(repo, ":") && call.Arg("source") == 0 {
					c.found(r, call.Start, "this runs the code that %s holds on the day of the job", repo)
				}
			}
		}),
	}
}

func runtimeInstall() Rule {
	return Rule{
		ID: "TL317", Name: "runtime-install", Severity: Minor, In: map[Profile]Severity{Prototype: Info, Production: Major},
		Looks:  "programs that install packages while they run: pip install in os.system or subprocess",
		Why:    "a job in a network without internet cannot, and what is installed changes from day to day: aws-samples/amazon-sagemaker-script-mode installs packages by pip at the start of its jobs (hugging-face-lambda-step/scripts/evaluate.py)",
		Advice: "name the package in the requirements of the image",
		Bad:    Example{Files: map[string]string{"train.py": "import subprocess\nimport sys\n\nsubprocess.check_call([sys.executable, \"-m\", \"pip\", \"install\", \"xgboost\"])\n"}, At: "train.py:4"},
		Good:   Example{Files: map[string]string{"train.py": "import xgboost\n", "requirements.txt": "xgboost==2.1.4\n"}},
		Python: inOwnCode(func(c code, r *Report) {
			for _, call := range c.Calls {
				if call.Name != "os.system" && !strings.HasPrefix(call.Name, "subprocess.") {
					continue
				}
				if text := c.Source(call.Expr); strings.Contains(text, "pip") && strings.Contains(text, "install") && !strings.Contains(text, "uninstall") && installs(text) {
					c.found(r, call.Start, "this installs packages while the program runs")
				}
			}
		}),
	}
}

// installs says whether the text of a call runs pip install.
func installs(text string) bool {
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\n\"',[]()", r) })
	for i, word := range words[:max(0, len(words)-1)] {
		if (word == "pip" || word == "pip3") && words[i+1] == "install" {
			return true
		}
	}
	return false
}
