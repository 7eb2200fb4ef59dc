package release_test

import (
	"slices"
	"testing"

	"gitlab.com/towline/towline/pkg/release"
)

func inputs() release.Inputs {
	return release.Inputs{
		Code:            []release.File{{Path: "a.py", SHA256: "11"}, {Path: "b.py", SHA256: "22", Exec: true}},
		Locks:           []release.File{{Path: "requirements.txt", SHA256: "33"}},
		Base:            "scratch",
		Platform:        "linux/amd64",
		Python:          "3.11",
		Layout:          "1",
		Train:           []string{"python", "train.py"},
		Serve:           []string{"python", "serve.py"},
		Hyperparameters: map[string]string{"depth": "6", "rate": "0.1"},
		TrainEnv:        map[string]string{"LOG": "info"},
		Data:            map[string]string{"train": "44", "test": "55"},
		Seed:            "7",
	}
}

// The encoding is a promise: with another one every model in the world would be new.
func TestIdentityIsKnown(t *testing.T) {
	const want = "8dae8ba4095d2a1039e24c4d3eb217e51ddee589a754d0fbe88cbe2e5edec64a"
	if got := release.Identity(inputs()); got != want {
		t.Errorf("Identity = %s, want %s", got, want)
	}
}

func TestIdentityDoesNotDependOnOrder(t *testing.T) {
	in := inputs()
	slices.Reverse(in.Code)
	if got, want := release.Identity(in), release.Identity(inputs()); got != want {
		t.Errorf("Identity = %s, want %s", got, want)
	}
}

func TestIdentityDependsOnEverything(t *testing.T) {
	changes := map[string]func(*release.Inputs){
		"a file's content":         func(in *release.Inputs) { in.Code[0].SHA256 = "12" },
		"a file's name":            func(in *release.Inputs) { in.Code[0].Path = "c.py" },
		"a file's mode":            func(in *release.Inputs) { in.Code[0].Exec = true },
		"a file less":              func(in *release.Inputs) { in.Code = in.Code[:1] },
		"a file that is a lock":    func(in *release.Inputs) { in.Locks, in.Code = append(in.Locks, in.Code[1]), in.Code[:1] },
		"the base":                 func(in *release.Inputs) { in.Base = "python@sha256:1" },
		"the platform":             func(in *release.Inputs) { in.Platform = "linux/arm64" },
		"the Python version":       func(in *release.Inputs) { in.Python = "3.12" },
		"the layout":               func(in *release.Inputs) { in.Layout = "2" },
		"a word of the command":    func(in *release.Inputs) { in.Train[1] = "other.py" },
		"the words' boundary":      func(in *release.Inputs) { in.Train = []string{"python train.py"} },
		"a word of another":        func(in *release.Inputs) { in.Train, in.Serve = append(in.Train, "python"), []string{"serve.py"} },
		"a hyperparameter":         func(in *release.Inputs) { in.Hyperparameters["depth"] = "7" },
		"a hyperparameter's name":  func(in *release.Inputs) { in.Hyperparameters = map[string]string{"dept": "h6", "rate": "0.1"} },
		"an environment variable":  func(in *release.Inputs) { in.TrainEnv["LOG"] = "debug" },
		"where a variable belongs": func(in *release.Inputs) { in.TrainEnv, in.Hyperparameters = in.Hyperparameters, in.TrainEnv },
		"the data":                 func(in *release.Inputs) { in.Data["train"] = "45" },
		"the data's channel":       func(in *release.Inputs) { in.Data = map[string]string{"training": "44", "test": "55"} },
		"the evaluate command":     func(in *release.Inputs) { in.Evaluate = []string{"evaluation.json", "python", "evaluate.py"} },
		"the evaluation's file":    func(in *release.Inputs) { in.Evaluate = []string{"scores.json", "python", "evaluate.py"} },
		"the programs":             func(in *release.Inputs) { in.Programs = []string{"bin"} },
		"the image's variables":    func(in *release.Inputs) { in.ImageEnv = map[string]string{"LOG": "info"} },
		"the image's user":         func(in *release.Inputs) { in.User = "1000" },
		"the seed":                 func(in *release.Inputs) { in.Seed = "8" },
	}
	seen := map[string]string{release.Identity(inputs()): "nothing"}
	for what, change := range changes {
		in := inputs()
		change(&in)
		identity := release.Identity(in)
		if other, ok := seen[identity]; ok || len(identity) != 64 {
			t.Errorf("a change of %s and of %s give one identity, %s", what, other, identity)
		}
		seen[identity] = what
	}
}
