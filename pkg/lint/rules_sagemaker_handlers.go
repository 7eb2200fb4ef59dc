package lint

import (
	"strings"

	"gitlab.com/towline/towline/pkg/lint/python"
)

// handlers are the functions that SageMaker's inference toolkits call, and how
// many arguments they get: with and without a context.
var handlers = map[string]struct{ least, most int }{
	"model_fn": {1, 2}, "input_fn": {2, 3}, "predict_fn": {2, 3}, "output_fn": {2, 3}, "transform_fn": {4, 5},
}

// toolkitHandlers are the file's handlers for SageMaker's toolkits, none if it
// is no such file: model_fn and input_fn alone are also names of estimators
// of tensorflow, and transform_fn alone is anybody's.
func (c code) toolkitHandlers() []python.Function {
	var list []python.Function
	ours := false
	for _, fn := range c.Functions {
		if _, ok := handlers[fn.Name]; !ok || fn.Scope != 0 {
			continue
		}
		list = append(list, fn)
		first := ""
		if len(fn.Params) > 0 {
			first = fn.Params[0].Name
		}
		ours = ours || fn.Name == "predict_fn" || fn.Name == "output_fn" || fn.Name == "transform_fn" && first == "model" || strings.Contains(first, "model_dir")
	}
	if !ours {
		return nil
	}
	return list
}

func handlerSignature() Rule {
	return Rule{
		ID: "TL407", Name: "handler-signature", Severity: Critical,
		Looks:  "model_fn, input_fn, predict_fn, output_fn and transform_fn that cannot be called with the arguments SageMaker gives",
		Why:    "input_fn with one parameter too many, as documentation had it, ended in TypeError: missing 1 required positional argument, at the first request (aws/sagemaker-python-sdk#636)",
		Advice: "model_fn(model_dir), input_fn(body, content_type), predict_fn(data, model), output_fn(prediction, accept), transform_fn(model, body, content_type, accept); each may take a context more",
		Bad:    Example{Files: map[string]string{"inference.py": "def model_fn(model_dir):\n    return model_dir\n\n\ndef predict_fn(data):\n    return data\n"}, At: "inference.py:5"},
		Good:   Example{Files: map[string]string{"inference.py": "def model_fn(model_dir):\n    return model_dir\n\n\ndef predict_fn(data, model):\n    return data\n"}},
		Python: inOwnCode(func(c code, r *Report) {
			for _, fn := range c.toolkitHandlers() {
				takes := handlers[fn.Name]
				needed, room := arity(fn)
				if needed > takes.most || room < takes.least {
					c.found(r, fn.Start, "SageMaker calls %s with %d arguments, or %d with a context", fn.Name, takes.least, takes.most)
				}
			}
		}),
	}
}

// arity is how many arguments by position a function needs, and takes.
func arity(fn python.Function) (needed, room int) {
	for _, p := range fn.Params {
		switch p.Kind {
		case python.Positional, python.PositionalOnly:
			room++
			if p.Default == 0 {
				needed++
			}
		case python.VarPositional:
			room += 100
		case python.KeywordOnly:
			if p.Default == 0 {
				needed += 100 // never given
			}
		}
	}
	return needed, room
}

func handlerConflict() Rule {
	return Rule{
		ID: "TL408", Name: "handler-conflict", Severity: Critical,
		Looks:  "files that define transform_fn and also input_fn, predict_fn or output_fn",
		Why:    "SageMaker's toolkit raises ValueError: cannot use transform_fn implementation with input_fn, predict_fn, and/or output_fn, and the endpoint never starts (aws/sagemaker-containers#122)",
		Advice: "keep transform_fn, or the three others",
		Bad:    Example{Files: map[string]string{"inference.py": "def transform_fn(model, body, content_type, accept):\n    return body, accept\n\n\ndef predict_fn(data, model):\n    return data\n"}, At: "inference.py:1"},
		Good:   Example{Files: map[string]string{"inference.py": "def transform_fn(model, body, content_type, accept):\n    return body, accept\n"}},
		Python: inOwnCode(func(c code, r *Report) {
			list := c.toolkitHandlers()
			for _, fn := range list {
				for _, other := range list {
					if fn.Name == "transform_fn" && other.Name != "transform_fn" && other.Name != "model_fn" {
						c.found(r, fn.Start, "transform_fn cannot be together with %s", other.Name)
						return
					}
				}
			}
		}),
	}
}

func loadsPerRequest() Rule {
	return Rule{
		ID: "TL417", Name: "loads-per-request", Severity: Minor, In: map[Profile]Severity{Prototype: Info, Production: Major},
		Looks:  "models that are loaded from disk in what answers a request: predict_fn, the function of /invocations, do_POST",
		Why:    "loading took most of the time of a request in MORAN_v2 (Canjie-Luo/MORAN_v2#49: 0.31 of 0.33 s) and seconds in Clinical-Insight-Engine (#509)",
		Advice: "load the model once, when the server starts",
		Bad: Example{Files: map[string]string{"serve.py": "import joblib\nfrom flask import Flask, request\n\napp = Flask(__name__)\n\n\n@app.route(\"/invocations\", methods=[\"POST\"])\ndef predict():\n" +
			"    model = joblib.load(\"model.joblib\")\n    return str(model.predict(request.json))\n"}, At: "serve.py:9"},
		Good: Example{Files: map[string]string{"serve.py": "import joblib\nfrom flask import Flask, request\n\napp = Flask(__name__)\nmodel = joblib.load(\"model.joblib\")\n\n\n@app.route(\"/invocations\", methods=[\"POST\"])\ndef predict():\n" +
			"    return str(model.predict(request.json))\n"}},
		Python: inOwnCode(func(c code, r *Report) {
			for _, fn := range c.Functions {
				if !c.answersRequests(fn) {
					continue
				}
				for _, call := range c.CallsIn(fn.Stmt) {
					if loadsModel(call.Name) && call.Scope == fn.Body && !c.asked(call.Stmt) && !c.keeps(call.Name) {
						c.found(r, call.Start, "%s loads the model anew for each request", call.Name)
					}
				}
			}
		}),
	}
}

func (c code) answersRequests(fn python.Function) bool {
	switch fn.Name {
	case "predict_fn", "input_fn", "transform_fn":
		return fn.Scope == 0
	case "do_POST":
		return true
	}
	for _, decorator := range fn.Decorators {
		if strings.Contains(c.Source(decorator), "/invocations") {
			return true
		}
	}
	return false
}

// keeps says whether a function of the file itself loads a model no more than
// once: the load stands under an if, or what it answers is kept.
func (c code) keeps(name string) bool {
	for _, fn := range c.Functions {
		if fn.Name != name {
			continue
		}
		for _, call := range c.CallsIn(fn.Stmt) {
			if loadsModel(call.Name) && !c.asked(call.Stmt) && !c.keptByDecorator(fn) && call.Name != name && !strings.Contains(call.Name, "."+name) {
				return false
			}
		}
		return true
	}
	return false
}

func (c code) keptByDecorator(fn python.Function) bool {
	for _, decorator := range fn.Decorators {
		if strings.Contains(c.Source(decorator), "cache") {
			return true
		}
	}
	return false
}

func loadsModel(name string) bool {
	if unpicklers[name] {
		return true
	}
	switch last(name) {
	case "load_model", "from_pretrained", "load_checkpoint", "load_from_checkpoint":
		return true
	}
	return false
}
