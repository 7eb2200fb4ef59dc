package lint

import (
	"strings"

	"gitlab.com/towline/towline/pkg/lint/python"
)

func unseededTraining() Rule {
	return Rule{
		ID: "TL318", Name: "unseeded-training", Severity: Minor, In: map[Profile]Severity{Prototype: Off, Production: Major},
		Looks:  "trainings with torch, tensorflow, or the random numbers of Python and numpy, in whose code nothing is seeded",
		Why:    "splits in NVIDIA/cuml differed from run to run until a random_state was passed on (#1594); without a seed the gate compares luck with luck",
		Advice: "add a hyperparameter seed and call torch.manual_seed, numpy.random.seed or keras.utils.set_random_seed with it",
		Bad: Example{Files: map[string]string{
			"towline.yaml": jobManifest("", ""),
			"train.py":     "import torch\n\nmodel = torch.nn.Linear(3, 1)\n",
		}, At: "train.py:3"},
		Good: Example{Files: map[string]string{
			"towline.yaml": jobManifest("", ""),
			"train.py":     "import torch\n\ntorch.manual_seed(7)\nmodel = torch.nn.Linear(3, 1)\n",
		}},
		Model: unseeded,
	}
}

func unseeded(m *Model, r *Report) {
	entry, ok := m.Entry(m.Train.Command)
	if !ok {
		return
	}
	for _, f := range m.PythonFiles() {
		if f.traits().seeds {
			return
		}
	}
	c := code{entry.Python(), entry}
	for _, call := range c.Calls {
		if drawsRandomly(call.Name) {
			c.found(r, call.Start, "%s draws random numbers, and nothing in this model's code sets a seed", call.Name)
			return
		}
	}
}

// drawsRandomly says whether a call takes random numbers, or makes layers that
// begin with them.
func drawsRandomly(name string) bool {
	if library, rest, ok := strings.Cut(name, "."); ok && library == "random" {
		return strings.ToLower(rest[:1]) == rest[:1] && rest != "seed" && rest != "getstate"
	}
	for _, prefix := range []string{"torch.nn.", "numpy.random.", "torch.rand", "tensorflow.keras.layers.", "keras.layers.", "tensorflow.random."} {
		if strings.HasPrefix(name, prefix) {
			return !strings.HasPrefix(name, "torch.nn.functional.") && !strings.HasPrefix(name, "torch.nn.utils.")
		}
	}
	return false
}

// setsSeed says whether a call seeds random numbers, by its name.
func setsSeed(call python.Call) bool {
	name := call.Name
	return strings.Contains(strings.ToLower(last(name)), "seed") || name == "numpy.random.default_rng" && len(call.Args) > 0 ||
		name == "numpy.random.RandomState" && len(call.Args) > 0 || name == "random.Random" && len(call.Args) > 0
}

func missingRandomState() Rule {
	return Rule{
		ID: "TL319", Name: "missing-random-state", Severity: Minor, In: map[Profile]Severity{Prototype: Off, Production: Major},
		Looks:  "train_test_split, shuffled folds and random estimators of scikit-learn without random_state, in files that seed nothing",
		Why:    "the test rows differed from run to run in karoo_gp (kstaats/karoo_gp#60) and flower (flwrlabs/flower#3211): a model is then judged on other rows than the one before it",
		Advice: "pass random_state, best from a hyperparameter",
		Bad:    Example{Files: map[string]string{"train.py": "from sklearn.model_selection import train_test_split\n\n\ndef split(rows):\n    return train_test_split(rows, test_size=0.2)\n"}, At: "train.py:5"},
		Good:   Example{Files: map[string]string{"train.py": "from sklearn.model_selection import train_test_split\n\n\ndef split(rows, seed):\n    return train_test_split(rows, test_size=0.2, random_state=seed)\n"}},
		Python: inOwnCode(func(c code, r *Report) {
			if !c.imports("sklearn", "pandas") || c.seeds() {
				return
			}
			for _, call := range c.Calls {
				if c.drawsWithoutState(call) {
					c.found(r, call.Start, "%s is different in every run", last(call.Name))
				}
			}
		}),
	}
}

func (c code) seeds() bool {
	for _, call := range c.Calls {
		if setsSeed(call) {
			return true
		}
	}
	return false
}

var stateful = map[string]bool{
	"RandomForestClassifier": true, "RandomForestRegressor": true, "ExtraTreesClassifier": true, "ExtraTreesRegressor": true, "IsolationForest": true,
	"MLPClassifier": true, "MLPRegressor": true, "SGDClassifier": true, "SGDRegressor": true, "BaggingClassifier": true, "BaggingRegressor": true,
	"KMeans": true, "MiniBatchKMeans": true, "GaussianMixture": true, "RandomizedSearchCV": true, "TSNE": true, "ShuffleSplit": true, "StratifiedShuffleSplit": true,
	"GroupShuffleSplit": true, "RepeatedKFold": true, "RepeatedStratifiedKFold": true, "DecisionTreeClassifier": true, "DecisionTreeRegressor": true,
}

// drawsWithoutState says whether a call of scikit-learn or pandas draws random
// numbers that no argument fixes.
func (c code) drawsWithoutState(call python.Call) bool {
	if call.Arg("random_state") != 0 || call.Unpacks() {
		return false
	}
	name := last(call.Name)
	if strings.HasSuffix(call.Name, ".sample") && c.imports("pandas") && call.Arg("frac") != 0 {
		return true
	}
	if python.Root(call.Name) != "sklearn" {
		return false
	}
	switch name {
	case "train_test_split":
		return !c.is(call.Arg("shuffle"), "False")
	case "KFold", "StratifiedKFold", "StratifiedGroupKFold":
		return c.is(call.Arg("shuffle"), "True")
	}
	return stateful[name]
}
