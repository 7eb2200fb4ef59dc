package lint

import (
	"strings"

	"gitlab.com/towline/towline/pkg/lint/python"
)

func missingRoute() Rule {
	routes := "import os\nfrom flask import Flask\n\napp = Flask(__name__)\n\n\n@app.route(\"/%s\")\ndef ping():\n    return \"\"\n\n\n@app.route(\"/invocations\", methods=[\"POST\"])\ndef predict():\n    return \"1\"\n\n\n" +
		"app.run(host=\"0.0.0.0\", port=int(os.environ[\"SAGEMAKER_BIND_TO_PORT\"]))\n"
	return Rule{
		ID: "TL413", Name: "missing-route", Severity: Critical, In: map[Profile]Severity{Prototype: Major},
		Looks:  "servers that are written with Flask, FastAPI and the like, in a model whose code never names /ping or /invocations",
		Why:    "datarobot's server had /ping/ with a slash at the end, which SageMaker does not ask for, and had to add /ping (datarobot/datarobot-user-models#883)",
		Advice: "answer 200 to GET /ping once the model is loaded, and predictions to POST /invocations",
		Bad:    serving(strings.Replace(routes, "%s", "health", 1)).at("serve.py"),
		Good:   serving(strings.Replace(routes, "%s", "ping", 1)),
		Model: func(m *Model, r *Report) {
			if m.Serve == nil {
				return
			}
			f, ok := m.Entry(m.Serve.Command)
			if !ok || m.says("mlserver", "bentoml", "torchserve", "multi_model_server", "multi-model-server", "sagemaker_inference", "ray.serve", "litserve", "mlflow") {
				return
			}
			if c := (code{f.Python(), f}); !c.imports("flask", "fastapi", "starlette", "aiohttp", "bottle", "falcon", "sanic", "tornado") {
				return
			}
			for _, route := range []string{"/ping", "/invocations"} {
				if !m.says(route+`"`, route+"'", route+"$", route+"?", route+"<") {
					r.Whole(f, "nothing in this model's code answers %s", route)
				}
			}
		},
	}
}

func debugServer() Rule {
	return Rule{
		ID: "TL416", Name: "debug-server", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "Flask servers that run with debug=True",
		Why:    "the debugger of Werkzeug lets whoever meets an error page run Python on the server: ML-CaPsule had six such apps (Niketkumardheeryan/ML-CaPsule#1573), a deployment template of AWS one (aws-samples/amazon-ecs-fargate-cdk-cicd#10)",
		Advice: "leave debug out",
		Bad:    Example{Files: map[string]string{"serve.py": "from flask import Flask\n\napp = Flask(__name__)\napp.run(host=\"0.0.0.0\", debug=True)\n"}, At: "serve.py:4"},
		Good:   Example{Files: map[string]string{"serve.py": "from flask import Flask\n\napp = Flask(__name__)\napp.run(host=\"0.0.0.0\")\n"}},
		Python: inOwnCode(func(c code, r *Report) {
			if !c.imports("flask", "dash", "quart") {
				return
			}
			for _, call := range c.Calls {
				if how := last(call.Name); (how == "run" || how == "run_server") && c.is(call.Arg("debug"), "True") {
					c.foundExpr(r, call.Arg("debug"), "the debugger runs the code of whoever finds an error page")
				}
			}
		}),
	}
}

func swallowedFailure() Rule {
	return Rule{
		ID: "TL414", Name: "swallowed-failure", Severity: Critical, In: map[Profile]Severity{Prototype: Major},
		Looks:  "trainings whose main part stands in a try that catches every exception and goes on to the end: the job then counts as completed",
		Why:    "sagemaker-run-notebook caught every exception and printed it, and jobs of notebooks that had failed were Completed (aws-samples/sagemaker-run-notebook#53)",
		Advice: "let the exception go, or raise it again after it was logged: the exit code is what SageMaker looks at",
		Bad: Example{Files: map[string]string{"towline.yaml": jobManifest("", ""), "train.py": "import os\n\n\ndef train():\n    print(os.environ[\"SM_MODEL_DIR\"])\n\n\nif __name__ == \"__main__\":\n" +
			"    try:\n        train()\n    except Exception as error:\n        print(\"training failed\", error)\n"}, At: "train.py:11"},
		Good: Example{Files: map[string]string{"towline.yaml": jobManifest("", ""), "train.py": "import os\n\n\ndef train():\n    print(os.environ[\"SM_MODEL_DIR\"])\n\n\nif __name__ == \"__main__\":\n" +
			"    try:\n        train()\n    except Exception as error:\n        print(\"training failed\", error)\n        raise\n"}},
		Model: func(m *Model, r *Report) {
			c, ok := m.training()
			if !ok {
				return
			}
			for _, h := range c.Handlers {
				try := c.Stmts[h.Stmt].Parent
				if try >= 0 && c.broad(h) && c.isLast(try) && c.inMain(try) && c.callsMain(try) && !c.ends(h.Stmt) {
					c.found(r, c.Stmts[h.Stmt].Start, "whatever goes wrong ends here, and the job counts as completed")
				}
			}
		},
	}
}

// broad says whether a handler catches every exception.
func (c code) broad(h python.Handler) bool {
	if h.Type == 0 {
		return true
	}
	name := c.Name(h.Type)
	return name == "Exception" || name == "BaseException"
}

// isLast says whether nothing follows a statement in its block.
func (c code) isLast(stmt int32) bool {
	parent := c.Stmts[stmt].Parent
	end := int32(len(c.Stmts) - 1)
	if parent >= 0 {
		end = c.Stmts[parent].Last
	}
	return c.Stmts[stmt].Last == end
}

// inMain says whether a statement is what the program does last: directly at
// the top level, under the main guard, or in a function called main.
func (c code) inMain(stmt int32) bool {
	parent := c.Stmts[stmt].Parent
	if parent < 0 {
		return true
	}
	if parent == c.MainGuard() {
		return c.isLast(parent)
	}
	s := c.Stmts[parent]
	return s.Kind == python.StmtFunctionDef && s.Parent < 0 && c.Scopes[c.Stmts[stmt].Scope].Name == "main"
}

// callsMain says whether a try holds the main part of a training: a call of
// main, of something that trains, or of fit.
func (c code) callsMain(try int32) bool {
	for _, call := range c.CallsIn(try) {
		how := last(call.Name)
		if how == "main" || how == "fit" || how == "run" || strings.Contains(how, "train") {
			return true
		}
	}
	return false
}

// ends says whether a handler ends the program, or hands something on.
func (c code) ends(handler int32) bool {
	for i := handler; i <= c.Stmts[handler].Last; i++ {
		switch c.Stmts[i].Kind {
		case python.StmtRaise, python.StmtReturn, python.StmtContinue, python.StmtBreak:
			return true
		case python.StmtAssign, python.StmtAugAssign:
			return true // remembered, and perhaps told later
		}
	}
	for _, call := range c.CallsIn(handler) {
		switch last(call.Name) {
		case "exit", "_exit", "quit", "abort", "kill", "error", "fail":
			if call.Name != "logging.error" && !strings.HasPrefix(call.Name, "log") {
				return true
			}
		}
	}
	return false
}

func exitZero() Rule {
	return Rule{
		ID: "TL415", Name: "exit-zero", Severity: Critical, In: map[Profile]Severity{Prototype: Major},
		Looks:  "sys.exit(), sys.exit(0) and the like in the except blocks of a training",
		Why:    "SageMaker takes exit code 0 for success: the training toolkit's own code keeps a nonzero one and writes the failure file for that reason (aws/sagemaker-containers#53), and a job that failed for a full disk was Completed (aws/sagemaker-training-toolkit#204)",
		Advice: "exit with 1, or raise",
		Bad: Example{Files: map[string]string{"towline.yaml": jobManifest("", ""), "train.py": "import os\nimport sys\n\ntry:\n    print(os.environ[\"SM_MODEL_DIR\"])\nexcept Exception as error:\n" +
			"    print(error)\n    sys.exit(0)\n"}, At: "train.py:8"},
		Good: Example{Files: map[string]string{"towline.yaml": jobManifest("", ""), "train.py": "import os\nimport sys\n\ntry:\n    print(os.environ[\"SM_MODEL_DIR\"])\nexcept Exception as error:\n" +
			"    print(error)\n    sys.exit(1)\n"}},
		Model: func(m *Model, r *Report) {
			c, ok := m.training()
			if !ok {
				return
			}
			for _, h := range c.Handlers {
				if name := c.Name(h.Type); name == "KeyboardInterrupt" || name == "SystemExit" || name == "StopIteration" {
					continue
				}
				for _, call := range c.CallsIn(h.Stmt) {
					if c.exitsZero(call) {
						c.found(r, call.Start, "%s here tells SageMaker that the training succeeded", c.Source(call.Expr))
					}
				}
			}
		},
	}
}

func (c code) exitsZero(call python.Call) bool {
	switch call.Name {
	case "sys.exit", "exit", "quit", "os._exit":
		return len(call.Args) == 0 || c.number(call.Pos(0)) == "0"
	}
	return false
}

func hardCodedOptML() Rule {
	return Rule{
		ID: "TL406", Name: "hard-coded-opt-ml", Severity: Minor, In: map[Profile]Severity{Prototype: Info},
		Looks:  "paths below /opt/ml that are no default of an SM_* variable",
		Why:    "outside of a container nothing is there: a script that names /opt/ml/model runs in a job only, and its mistakes show only there, as in the thread of aws/sagemaker-containers#202",
		Advice: "read SM_MODEL_DIR, SM_OUTPUT_DATA_DIR and SM_CHANNEL_NAME, with a folder beside the code for the default",
		Bad:    Example{Files: map[string]string{"train.py": "import joblib\n\njoblib.dump({}, \"/opt/ml/model/model.joblib\")\n"}, At: "train.py:3"},
		Good:   Example{Files: map[string]string{"train.py": "import os\nimport joblib\n\njoblib.dump({}, os.environ.get(\"SM_MODEL_DIR\", \"/opt/ml/model\") + \"/model.joblib\")\n"}},
		Python: inOwnCode(func(c code, r *Report) {
			for _, s := range c.Strings {
				if s.Doc || !strings.HasPrefix(c.Raw(s), "/opt/ml/") && c.Raw(s) != "/opt/ml" || strings.HasPrefix(c.Raw(s), "/opt/ml/processing") {
					continue // for the folders of processing jobs there are no variables
				}
				if line := c.Line(int(s.Line)); !strings.Contains(line, "SM_") && !strings.Contains(line, "environ") && !strings.Contains(line, "getenv") && !strings.Contains(line, "env") {
					c.found(r, s.Start, "%s exists in a job only", c.Raw(s))
				}
			}
		}),
	}
}
