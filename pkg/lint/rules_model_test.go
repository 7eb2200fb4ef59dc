package lint_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gitlab.com/towline/towline/pkg/lint"
)

// model is the manifest of a model: lines of its training, and of itself.
func model(train string, rest ...string) string {
	return "apiVersion: towline/v1\nproject: shop\nmodels:\n  - name: demand\n    train:\n      command: [python, train.py]\n" + train + strings.Join(rest, "")
}

func TestRulesForCommandLines(t *testing.T) {
	for _, tt := range []struct {
		name, id, given, code string
		want                  int
	}{
		{"a shortened option", "TL501", "batch: 8", `parser.add_argument("--batch-size")`, 0},
		{"a shortened option of two", "TL501", "b: 8", "parser.add_argument(\"--batch\")\nparser.add_argument(\"--beta\")", 1},
		{"options that are made in a loop", "TL501", "x: 8", "for name in names:\n    parser.add_argument(name)", 0},
		{"another library's options", "TL501", "x: 8", "import click\nparser.add_argument(\"--y\")", 0},
		{"a program without options", "TL501", "x: 8", "", 0},
		{"an unknown option that is passed over", "TL501", "x: 8", "parser.add_argument(\"--y\")\nparser.parse_known_args()", 0},
		{"a required option", "TL502", "x: 8", "parser.add_argument(\"--x\", required=True)", 0},
		{"a required option that is missing", "TL502", "x: 8", "parser.add_argument(\"--x\")\nparser.add_argument(\"--y\", required=True)", 1},
		{"a number", "TL503", "x: \"1_000\"", `parser.add_argument("--x", type=int)`, 0},
		{"half a number", "TL503", "x: 0.5", `parser.add_argument("--x", type=int)`, 1},
		{"half a number as float", "TL503", "x: 1e-3", `parser.add_argument("--x", type=float)`, 0},
		{"a word as float", "TL503", "x: fast", `parser.add_argument("--x", type=float)`, 1},
		{"one of the choices", "TL503", "x: adam", `parser.add_argument("--x", choices=["sgd", "adam"])`, 0},
		{"none of the choices", "TL503", "x: lion", `parser.add_argument("--x", choices=["sgd", "adam"])`, 1},
		{"choices that are not written out", "TL503", "x: lion", `parser.add_argument("--x", choices=list(OPTIMIZERS))`, 0},
		{"a flag that is on and off", "TL503", "x: true", `parser.add_argument("--x", action=argparse.BooleanOptionalAction)`, 1},
		{"a list", "TL503", "x: 1,2", `parser.add_argument("--x", nargs="+", type=int)`, 0},
	} {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			got := places(t, rule(t, tt.id), lint.Example{Files: map[string]string{
				"towline.yaml": model("      hyperparameters: {" + tt.given + "}\n"),
				"train.py":     "import argparse\n\nparser = argparse.ArgumentParser()\n" + tt.code + "\noptions = parser.parse_args()\n",
			}})
			if len(got) != tt.want {
				t.Errorf("found at %q, want %d findings", got, tt.want)
			}
		})
	}
}

func TestTheEvaluateCommandIsAnEntry(t *testing.T) {
	files := map[string]string{
		"towline.yaml": model("", "    evaluate:\n      command: [python, evaluate.py]\n"),
		"train.py":     "print(1)\n", "evaluate.py": "def main():\n    print(1)\n",
	}
	if got := places(t, rule(t, "TL402"), lint.Example{Files: files}); len(got) != 1 || !strings.HasPrefix(got[0], "evaluate.py:") {
		t.Errorf("found at %q, want one in evaluate.py, which runs nothing", got)
	}
	delete(files, "evaluate.py")
	if got := places(t, rule(t, "TL203"), lint.Example{Files: files}); len(got) != 1 {
		t.Errorf("found at %q, want the file that is missing", got)
	}
}

func TestOptionsOfAnImportedModuleAreKnown(t *testing.T) {
	got := places(t, rule(t, "TL501"), lint.Example{Files: map[string]string{
		"towline.yaml":    model("      hyperparameters: {rate: 1}\n"),
		"train.py":        "from shop.options import parser\n\nparser.parse_args()\n",
		"shop/options.py": "import argparse\n\nparser = argparse.ArgumentParser()\nparser.add_argument(\"--rate\")\n",
	}})
	if len(got) > 0 {
		t.Errorf("found at %q, want nothing", got)
	}
}

func TestRulesForTheTraining(t *testing.T) {
	for _, tt := range []struct {
		name, id, code string
		want           []string
	}{
		{"a channel with a default", "TL505", "import os\nos.environ.get(\"SM_CHANNEL_X\", \"data\")\n", nil},
		{"a channel that was asked for", "TL505", "import os\nif \"SM_CHANNEL_X\" in os.environ:\n    os.environ[\"SM_CHANNEL_X\"]\n", nil},
		{"a channel that is set here", "TL505", "import os\nos.environ[\"SM_CHANNEL_X\"] = \"data\"\n", nil},
		{"a channel under another name of os", "TL505", "from os import environ as e\ne[\"SM_CHANNEL_X\"]\n", []string{"train.py:2"}},
		{"a channel with a hyphen", "TL505", "import os\nos.environ[\"SM_CHANNEL_IN_PUT\"]\n", nil},
		{"a hyperparameter's variable", "TL506", "import os\nos.environ[\"SM_HP_RATE\"]\n", nil},
		{"a variable of no hyperparameter", "TL506", "import os\nos.environ[\"SM_HP_DEPTH\"]\n", []string{"train.py:2"}},
		{"a variable of the manifest", "TL506", "import os\nos.environ[\"SM_OWN\"]\n", nil},
		{"a variable of somebody else", "TL506", "import os\nos.environ[\"HOME\"]\n", nil},

		{"a failure that is handed on", "TL414", "try:\n    train()\nexcept Exception:\n    log()\n    raise\n", nil},
		{"a failure that is remembered", "TL414", "try:\n    train()\nexcept Exception as error:\n    failed = error\n", nil},
		{"a failure of one kind", "TL414", "try:\n    train()\nexcept ValueError:\n    pass\n", nil},
		{"a failure before the end", "TL414", "try:\n    train()\nexcept Exception:\n    pass\ncheck()\n", nil},
		{"a failure in a function called main", "TL414", "def main():\n    try:\n        train()\n    except Exception:\n        print(1)\n\n\nmain()\n", []string{"train.py:4"}},
		{"an exit with a code", "TL415", "import sys\ntry:\n    train()\nexcept Exception:\n    sys.exit(3)\n", nil},
		{"an exit without one", "TL415", "import sys\ntry:\n    train()\nexcept Exception:\n    sys.exit()\n", []string{"train.py:5"}},
		{"an exit after Ctrl-C", "TL415", "import sys\ntry:\n    train()\nexcept KeyboardInterrupt:\n    sys.exit(0)\n", nil},

		{"a script without a guard", "TL402", "print(1)\n", nil},
		{"a script that only reads options", "TL402", "import argparse\noptions = argparse.ArgumentParser().parse_args()\n", nil},
		{"an option for the folder", "TL404", "parser.add_argument(\"--model-dir\")\n", nil},
	} {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			got := places(t, rule(t, tt.id), lint.Example{Files: map[string]string{
				"towline.yaml": model("      channels: {in-put: data}\n      hyperparameters: {rate: 1}\n      environment: {SM_OWN: x}\n"),
				"train.py":     tt.code, "data/rows.csv": "1\n",
			}})
			if !slices.Equal(got, tt.want) {
				t.Errorf("found at %q, want %q in\n%s", got, tt.want, tt.code)
			}
		})
	}
}

func TestRulesForTheServer(t *testing.T) {
	for _, tt := range []struct {
		name, id, command, code string
		want                    int
	}{
		{"gunicorn by its defaults", "TL410", "[gunicorn, 'serve:app']", "", 1},
		{"gunicorn on every address", "TL410", "[gunicorn, --bind, '0.0.0.0:8080', 'serve:app']", "", 0},
		{"gunicorn with a file of settings", "TL410", "[gunicorn, -c, conf.py, 'serve:app']", "", 0},
		{"uvicorn by its defaults", "TL410", "[python, serve.py]", "import uvicorn\nuvicorn.run(app)\n", 1},
		{"uvicorn on every address", "TL410", "[python, serve.py]", "import uvicorn\nuvicorn.run(app, host=\"0.0.0.0\", port=8080)\n", 0},
		{"an address from an option", "TL410", "[python, serve.py]", "import uvicorn\nuvicorn.run(app, host=options.host)\n", 0},
		{"a server behind nginx", "TL410", "[python, serve.py]", "import uvicorn\nstart(\"nginx\")\nuvicorn.run(app)\n", 0},
		{"run of something else", "TL410", "[python, serve.py]", "model.run()\n", 0},
		{"a port of its own", "TL411", "[python, serve.py]", "import uvicorn\nuvicorn.run(app, host=\"0.0.0.0\", port=9000)\n", 1},
		{"the port that is asked for", "TL411", "[python, serve.py]", "import os, uvicorn\nuvicorn.run(app, port=int(os.environ[\"SAGEMAKER_BIND_TO_PORT\"]))\n", 0},
		{"a server that others wrote", "TL413", "[mlserver, start, .]", "", 0},
		{"routes with a slash at the end", "TL413", "[python, serve.py]", "import flask\n@app.route(\"/ping/\")\ndef ping(): pass\n@app.route(\"/invocations\")\ndef run(): pass\n", 1},
	} {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			got := places(t, rule(t, tt.id), lint.Example{Files: map[string]string{
				"towline.yaml": model("", fmt.Sprintf("    serve: {command: %s}\n", tt.command)),
				"train.py":     "print(1)\n", "serve.py": tt.code,
			}})
			if len(got) != tt.want {
				t.Errorf("found at %q, want %d findings", got, tt.want)
			}
		})
	}
}

// What a linter has written names what the code lacks, and is no code.
func TestReportsOfLintersAreNoCode(t *testing.T) {
	files := map[string]string{
		"towline.yaml": model("", "    serve: {command: [python, serve.py]}\n"), "train.py": "print(1)\n",
		"serve.py": "import fastapi\nimport uvicorn\nuvicorn.run(app, host=\"0.0.0.0\", port=9000)\n",
	}
	const found = `"message": "nothing answers '/ping' or '/invocations'; take SAGEMAKER_BIND_TO_PORT"`
	for _, report := range []string{
		`{"version": 1, "findings": [{"fingerprint": "ab", ` + found + `}]}`,
		`[{"check_name": "TL413", ` + found + `}]`,
		`{"runs": [{"results": [{"ruleId": "TL413", ` + found + `}]}]}`,
	} {
		for _, name := range []string{lint.BaselineFile, "gl-code-quality-report.json"} {
			files[name] = report
			for id, want := range map[string]int{"TL411": 1, "TL413": 2} {
				if got := places(t, rule(t, id), lint.Example{Files: files}); len(got) != want {
					t.Errorf("%s beside %s: %d findings, want %d", name, report, len(got), want)
				}
			}
			delete(files, name)
		}
	}
}

func TestRulesForImports(t *testing.T) {
	for _, tt := range []struct {
		name, base, requirements, code string
		want                           int
	}{
		{"the standard library", "", "numpy==2\n", "import os, json\n", 0},
		{"a module beside", "", "numpy==2\n", "import own\n", 0},
		{"a package by another name", "", "opencv-python-headless==4\n", "import cv2\n", 0},
		{"a module that may be absent", "", "numpy==2\n", "try:\n    import torch\nexcept ImportError:\n    torch = None\n", 0},
		{"a base with more than Python", "pytorch/pytorch:2.4", "numpy==2\n", "import torch\n", 0},
		{"a base with Python", "docker.io/library/python:3.11-slim", "numpy==2\n", "import torch\n", 1},
		{"requirements that take in others", "", "-r more.txt\n", "import torch\n", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			image := "requirements: requirements.txt"
			if tt.base != "" {
				image += ", base: '" + tt.base + "'"
			}
			got := places(t, rule(t, "TL507"), lint.Example{Files: map[string]string{
				"towline.yaml": model("", "    image: {"+image+"}\n"), "requirements.txt": tt.requirements, "train.py": tt.code, "own.py": "x = 1\n",
			}})
			if len(got) != tt.want {
				t.Errorf("found at %q, want %d findings", got, tt.want)
			}
		})
	}
}
