package lint

import (
	"strings"

	"gitlab.com/towline/towline/pkg/lint/python"
)

func missingZeroGrad() Rule {
	return Rule{
		ID: "TL324", Name: "missing-zero-grad", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "files that make an optimizer of torch, call backward() and step() in a loop, and never zero_grad()",
		Why:    "gradients add up from step to step: wenet-e2e/wekws (#73), TennisCourtDetector (yastrebksv/TennisCourtDetector#7) and tt-blacksmith (tenstorrent/tt-blacksmith#711) trained that way",
		Advice: "call optimizer.zero_grad() in each step, before backward()",
		Bad: Example{Files: map[string]string{"train.py": "import torch\n\n\ndef train(model, batches):\n    optimizer = torch.optim.Adam(model.parameters())\n    for batch in batches:\n" +
			"        loss = model(batch)\n        loss.backward()\n        optimizer.step()\n"}, At: "train.py:8"},
		Good: Example{Files: map[string]string{"train.py": "import torch\n\n\ndef train(model, batches):\n    optimizer = torch.optim.Adam(model.parameters())\n    for batch in batches:\n" +
			"        optimizer.zero_grad()\n        loss = model(batch)\n        loss.backward()\n        optimizer.step()\n"}},
		Python: inOwnCode(neverZeroed),
	}
}

func neverZeroed(c code, r *Report) {
	var backward *python.Call
	var optimizer, steps bool
	for i, call := range c.Calls {
		switch how := last(call.Name); {
		case strings.HasPrefix(call.Name, "torch.optim.") && !strings.HasPrefix(call.Name, "torch.optim.lr_scheduler") && how != "LBFGS":
			optimizer = true
		case how == "backward" && backward == nil && c.under(call.Stmt, python.StmtFor, python.StmtWhile):
			backward = &c.Calls[i]
		case how == "step" && strings.Contains(strings.ToLower(call.Name), "opt"):
			steps = true
		}
	}
	if backward == nil || !optimizer || !steps || c.zeroes() {
		return
	}
	c.found(r, backward.Start, "gradients are never set to zero, so every step adds to those before it")
}

// zeroes says whether the file sets gradients to zero in any way.
func (c code) zeroes() bool {
	return strings.Contains(c.Text, "zero_grad") || strings.Contains(c.Text, ".grad = None") || strings.Contains(c.Text, ".grad.zero_")
}

func servesInTrainingMode() Rule {
	return Rule{
		ID: "TL325", Name: "serves-in-training-mode", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "servers and handlers that load a state_dict of torch, or a whole module, and never call eval()",
		Why:    "dropout stayed on at inference, and results of a paper had to be corrected: ethos-ares never called model.eval() (ipolharvard/ethos-ares#20)",
		Advice: "call model.eval() after load_state_dict",
		Bad: Example{Files: map[string]string{"inference.py": "import torch\n\nfrom net import Net\n\n\ndef model_fn(model_dir):\n    model = Net()\n" +
			"    model.load_state_dict(torch.load(model_dir + \"/model.pt\", weights_only=True))\n    return model\n\n\n" +
			"def predict_fn(data, model):\n    return model(data)\n"}, At: "inference.py:8"},
		Good: Example{Files: map[string]string{"inference.py": "import torch\n\nfrom net import Net\n\n\ndef model_fn(model_dir):\n    model = Net()\n" +
			"    model.load_state_dict(torch.load(model_dir + \"/model.pt\", weights_only=True))\n    model.eval()\n    return model\n\n\n" +
			"def predict_fn(data, model):\n    return model(data)\n"}},
		Python: inOwnCode(func(c code, r *Report) {
			if !c.imports("torch") || !c.serves() {
				return
			}
			var load *python.Call
			for i, call := range c.Calls {
				switch last(call.Name) {
				case "eval", "train", "freeze", "export":
					return
				case "load_state_dict":
					if load == nil && !strings.Contains(call.Name, "optim") {
						load = &c.Calls[i]
					}
				}
			}
			if load != nil && !strings.Contains(c.Text, ".eval()") && !c.predictedByToolkit() {
				c.found(r, load.Start, "the model answers in training mode: dropout is on, and batch norm uses the batch")
			}
		}),
	}
}

// predictedByToolkit says whether the file leaves predictions to SageMaker's
// toolkit for PyTorch, which calls eval() itself (default_predict_fn).
func (c code) predictedByToolkit() bool {
	loads, predicts := false, false
	for _, fn := range c.Functions {
		loads = loads || fn.Scope == 0 && fn.Name == "model_fn"
		predicts = predicts || fn.Name == "predict_fn" || fn.Name == "transform_fn" || c.answersRequests(fn)
	}
	return loads && !predicts
}

// serves says whether a file answers requests: it has a handler of
// SageMaker's toolkits, or is what a model's serve command runs.
func (c code) serves() bool {
	for _, fn := range c.Functions {
		if fn.Scope == 0 && (fn.Name == "model_fn" || fn.Name == "predict_fn" || fn.Name == "transform_fn") {
			return true
		}
	}
	for _, m := range c.in.Repo.models {
		if m.Serve == nil {
			continue
		}
		if entry, ok := m.Entry(m.Serve.Command); ok && entry == c.in {
			return true
		}
	}
	return false
}
