package lint

import (
	"strings"

	"gitlab.com/towline/towline/pkg/lint/python"
)

// pythonRules are about Python code of any kind: family 3.
func pythonRules() []Rule {
	return []Rule{
		pythonSyntax(), homePath(), absolutePath(), awsAccount(), bucketName(), literalCredentials(), wildcardImport(), debuggerLeft(),
		nanComparison(), removedAPI(), dynamicCode(), networkPickle(), torchLoad(), remoteCode(), runtimeInstall(),
		unseededTraining(), missingRandomState(), fitBeforeSplit(), fitOnTest(), droppedResult(), chainedAssignment(), missingZeroGrad(), servesInTrainingMode(), boolOption(),
	}
}

func pythonSyntax() Rule {
	return Rule{
		ID: "TL301", Name: "python-syntax", Severity: Critical,
		Looks:  "Python files that Python cannot read, conflict markers of git included",
		Why:    "conflict markers were committed in the Python files of amazon-science/SOP-Bench (#10), so that every evaluation of one benchmark failed at import; hermes-agent did not start for the same reason (#2347)",
		Advice: "mend the line; python -m py_compile FILE shows it too",
		Bad:    Example{Files: map[string]string{"train.py": "import json\n<<<<<<< HEAD\nrate = 0.1\n=======\nrate = 0.2\n>>>>>>> main\n"}, At: "train.py:2"},
		Good:   Example{Files: map[string]string{"train.py": "import json\nrate = 0.2\n"}},
		Python: inCode(syntaxError),
	}
}

func syntaxError(c code, r *Report) {
	if c.Error == nil || strings.Contains(c.in.Path, "{{") || templated(c) {
		return
	}
	line, column := int(c.Error.Line), int(c.Error.Column)
	if text := c.Line(line); strings.HasPrefix(text, "<<<<<<< ") || strings.HasPrefix(text, ">>>>>>> ") {
		r.At(c.in, line, 1, "a merge was not finished: conflict marker")
		return
	}
	r.At(c.in, line, column+1, "syntax error: %s", c.Error.Message)
}

// templated says whether a file is the template of one, for jinja or the like.
func templated(c code) bool {
	for _, mark := range [][2]string{{"{%", "%}"}, {"{{ ", " }}"}} {
		if _, rest, ok := strings.Cut(c.Text, mark[0]); ok && strings.Contains(rest, mark[1]) {
			return true
		}
	}
	return false
}

func wildcardImport() Rule {
	return Rule{
		ID: "TL308", Name: "wildcard-import", Severity: Minor, In: map[Profile]Severity{Prototype: Info},
		Looks:  "from … import *, outside of __init__.py",
		Why:    "numpy 1.25 began to export min and max, so that from numpy import * replaced Python's own in the simulation code warp, which failed (numpy/numpy#24229)",
		Advice: "import the names that are used",
		Bad:    Example{Files: map[string]string{"train.py": "import json\nfrom numpy import *\n"}, At: "train.py:2"},
		Good:   Example{Files: map[string]string{"train.py": "from numpy import array\n", "lib/__init__.py": "from .core import *\n"}},
		Python: inOwnCode(func(c code, r *Report) {
			if strings.HasSuffix(c.in.Path, "__init__.py") {
				return
			}
			for _, i := range c.Imports {
				if i.Name == "*" && !i.InTry {
					c.found(r, i.Start, "from %s import * hides where names come from and may replace others", i.Target())
				}
			}
		}),
	}
}

func debuggerLeft() Rule {
	return Rule{
		ID: "TL309", Name: "debugger-left", Severity: Major,
		Looks:  "calls that stop a program for a debugger: breakpoint, pdb, ipdb, pudb, IPython.embed, debugpy",
		Why:    "a stray ipdb in the checkpoint loader of robometer killed remote training jobs with bdb.BdbQuit instead of a clean failure (robometer#19); ACE's trainer stopped the same way (Alibaba-NLP/ACE#53)",
		Advice: "remove the call; nobody answers a debugger in a job",
		Bad:    Example{Files: map[string]string{"train.py": "import pdb\n\ndef load(path):\n    pdb.set_trace()\n    return path\n"}, At: "train.py:4"},
		Good:   Example{Files: map[string]string{"train.py": "import pdb\n\ndef load(path, debug=False):\n    if debug:\n        pdb.set_trace()\n    return path\n"}},
		Python: inCode(debuggerCalls),
	}
}

var debuggers = map[string]bool{
	"breakpoint": true, "pdb.set_trace": true, "ipdb.set_trace": true, "pudb.set_trace": true, "pudb.set_interrupt_handler": true,
	"IPython.embed": true, "debugpy.wait_for_client": true, "debugpy.breakpoint": true, "ptvsd.wait_for_attach": true, "web_pdb.set_trace": true, "rpdb.set_trace": true,
}

func debuggerCalls(c code, r *Report) {
	for _, call := range c.Calls {
		if debuggers[call.Name] && !c.asked(call.Stmt) {
			c.found(r, call.Start, "%s() stops here and waits for somebody at a terminal", call.Name)
		}
	}
}

// asked says whether a statement stands under an if: then somebody asked for it.
func (c code) asked(stmt int32) bool {
	return c.under(stmt, python.StmtIf, python.StmtElif)
}

func boolOption() Rule {
	return Rule{
		ID: "TL326", Name: "bool-option", Severity: Major,
		Looks:  "argparse options with type=bool",
		Why:    "bool(\"False\") is True: --pin_memory=False left pinning on in mace (ACEsuit/mace#429), and a training that was switched off began anyway (alexarnimueller/LSTM_peptides#12)",
		Advice: "write action=argparse.BooleanOptionalAction or a type that reads true and false",
		Bad:    Example{Files: map[string]string{"train.py": "import argparse\n\nparser = argparse.ArgumentParser()\nparser.add_argument(\"--shuffle\", type=bool, default=True)\n"}, At: "train.py:4"},
		Good:   Example{Files: map[string]string{"train.py": "import argparse\n\nparser = argparse.ArgumentParser()\nparser.add_argument(\"--shuffle\", type=lambda text: text == \"true\", default=True)\n"}},
		Python: inOwnCode(func(c code, r *Report) {
			for _, call := range c.Calls {
				if kind := call.Arg("type"); last(call.Name) == "add_argument" && kind != 0 && c.Name(kind) == "bool" && call.Arg("action") == 0 {
					c.foundExpr(r, kind, "type=bool takes every text but the empty one for True")
				}
			}
		}),
	}
}

func nanComparison() Rule {
	return Rule{
		ID: "TL311", Name: "nan-comparison", Severity: Major,
		Looks:  "comparisons with == or != to NaN: numpy.nan, math.nan, float(\"nan\"), pandas.NA, pandas.NaT",
		Why:    "NaN equals nothing, not even itself: a filter of microsoft/qlib (#2044) and the scores of microsoft/promptflow (#4141) tested for missing values that they could never find",
		Advice: "use numpy.isnan, math.isnan or pandas.isna",
		Bad:    Example{Files: map[string]string{"clean.py": "import numpy as np\n\ndef missing(value):\n    return value == np.nan\n"}, At: "clean.py:4"},
		Good:   Example{Files: map[string]string{"clean.py": "import numpy as np\n\ndef missing(value):\n    return np.isnan(value)\n"}},
		Python: inCode(func(c code, r *Report) {
			for _, compare := range c.Compares {
				if compare.Op != "==" && compare.Op != "!=" {
					continue
				}
				for _, side := range []python.Expr{compare.Left, compare.Right} {
					if c.nan(side) {
						c.foundExpr(r, compare.Left, "NaN is equal to nothing: this is always %t", compare.Op == "!=")
						break
					}
				}
			}
		}),
	}
}

var nans = map[string]bool{"numpy.nan": true, "numpy.NaN": true, "numpy.NAN": true, "math.nan": true, "pandas.NA": true, "pandas.NaT": true, "torch.nan": true}

func (c code) nan(e python.Expr) bool {
	if call, ok := c.CallOf(e); ok && call.Name == "float" {
		text, ok := c.literal(call.Pos(0))
		return ok && strings.EqualFold(text, "nan")
	}
	return nans[c.Name(e)]
}
