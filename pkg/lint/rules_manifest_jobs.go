package lint

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"gitlab.com/towline/towline/pkg/manifest"
)

// manifestJobRules are about the jobs and endpoints that the manifest describes.
func manifestJobRules() []Rule {
	return []Rule{{
		ID: "TL209", Name: "unknown-instance", Severity: Major,
		Looks:  "instance types, against those that SageMaker takes for training and for endpoints",
		Why:    "what trains does not always serve: of 225 types for training 79 are refused for endpoints (AWS's API model), and the request fails only once everything else is done",
		Advice: "choose a type of the list for this use: docs.aws.amazon.com, SageMaker, instance types",
		Bad:    Example{Files: exampleWith("      channels:", "      instance: ml.m5.xxlarge\n      channels:"), At: "towline.yaml:8"},
		Good:   Example{Files: exampleWith("      channels:", "      instance: ml.m5.xlarge\n      channels:")},
		Model:  unknownInstances,
	}, {
		ID: "TL210", Name: "foreign-instance", Severity: Critical,
		Looks:  "the processor of the instance type, against image.platforms",
		Why:    "an image for x86 on a Graviton instance ends with `exec format error`: installers choose the builder's processor without a word, too (astral-sh/uv#16019)",
		Advice: "add linux/arm64 to image.platforms, or choose an instance with an x86 processor",
		Bad:    Example{Files: exampleWith("      command: [python, serve.py]", "      command: [python, serve.py]\n      instance: ml.c7g.large"), At: "towline.yaml:14"},
		Good:   Example{Files: exampleWith("      command: [python, serve.py]", "      command: [python, serve.py]\n      instance: ml.c7i.large")},
		Model:  foreignInstances,
	}, {
		ID: "TL211", Name: "spot-without-end", Severity: Minor, In: map[Profile]Severity{Prototype: Off},
		Looks:  "spot training without max_runtime, or without any use of checkpoints in a training of hours",
		Why:    "a spot job that is interrupted begins anew, and without checkpoints loses everything: AWS itself limits built-in algorithms that write none to an hour (SageMaker guide, Managed Spot Training)",
		Advice: "write max_runtime, and write checkpoints to /opt/ml/checkpoints where training takes longer than an hour",
		Bad:    Example{Files: exampleWith("      channels:", "      spot: true\n      channels:"), At: "towline.yaml:8"},
		Good:   Example{Files: exampleWith("      channels:", "      spot: true\n      max_runtime: 1h\n      channels:")},
		Model:  spotWithoutEnd,
	}, {
		ID: "TL212", Name: "secret-in-environment", Severity: Critical,
		Looks:  "variables of training and serving that are named like secrets and hold a plain value",
		Why:    "variables of jobs and models are printed by DescribeTrainingJob and DescribeModel to everybody who may call them; when CircleCI was broken into in 2023, every customer had to change what stood in variables (CircleCI's incident report, 4 January 2023)",
		Advice: "keep the value in Secrets Manager, hand over its name, and change the value that was here",
		Bad:    Example{Files: exampleWith("      channels:", "      environment: {DB_PASSWORD: hunter2-or-so}\n      channels:"), At: "towline.yaml:8"},
		Good:   Example{Files: exampleWith("      channels:", "      environment: {DB_PASSWORD_SECRET_ID: prod/db}\n      channels:")},
		Model:  secretsInEnvironment,
	}, {
		ID: "TL213", Name: "unread-channel", Severity: Minor, In: map[Profile]Severity{Prototype: Info},
		Looks:  "channels whose name, variable and folder stand nowhere in the model's code",
		Why:    "channels are downloaded before training begins: one that nobody reads costs time and disk, and a misspelt one trains on other data (dead data paths are debt, Sculley and others, NIPS 2015)",
		Advice: "read it from SM_CHANNEL_<NAME>, or take it out of train.channels",
		Bad: Example{Files: map[string]string{
			"towline.yaml": exampleManifest, "train.py": "open('data.csv')\n",
		}, At: "towline.yaml:8"},
		Good: Example{Files: map[string]string{
			"towline.yaml": exampleManifest, "train.py": "import os\nopen(os.environ['SM_CHANNEL_TRAIN'] + '/data.csv')\n",
		}},
		Model: unreadChannels,
	}}
}

// place of an instance type in the manifest.
type instanceUse struct {
	key, instance, for_ string
	known               instanceSet
}

func instanceUses(m *Model) []instanceUse {
	var list []instanceUse
	if m.Trained() {
		list = append(list, instanceUse{"train.instance", m.Train.Instance, "training", trainable()})
	}
	if m.Serve != nil {
		list = append(list, instanceUse{"serve.instance", m.Serve.Instance, "endpoints", hostable()})
	}
	return list
}

func unknownInstances(m *Model, r *Report) {
	for _, use := range instanceUses(m) {
		family := familyOf(use.instance)
		switch {
		case use.known.types[use.instance]:
		case trainable().types[use.instance] || hostable().types[use.instance]:
			r.Manifest(m.Position(use.key), "SageMaker does not take %s for %s", use.instance, use.for_)
		case use.known.families[family]:
			r.Manifest(m.Position(use.key), "there is no %s: instances of %s have other sizes", use.instance, family)
		default:
			f := r.Manifest(m.Position(use.key), "%s is not among the types for %s that this version of Towline knows", use.instance, use.for_)
			f.Severity = min(f.Severity, Minor) // it may be newer than the list
		}
	}
}

func foreignInstances(m *Model, r *Report) {
	for _, use := range instanceUses(m) {
		wanted := "amd64"
		if arm(familyOf(use.instance)) {
			wanted = "arm64"
		}
		if use.known.types[use.instance] && !m.runsOn(wanted) {
			r.Manifest(m.Position(use.key), "%s runs images for linux/%s, and image.platforms has only %s", use.instance, wanted, strings.Join(m.Image.Platforms, ", "))
		}
	}
}

func spotWithoutEnd(m *Model, r *Report) {
	if !m.Train.Spot {
		return
	}
	at := m.Position("train.spot")
	if m.Position("train.max_runtime") == m.Position("train") {
		r.Manifest(at, "spot training without max_runtime may wait and run for two days")
		return
	}
	if time.Duration(m.Train.MaxRuntime) > 2*time.Hour && len(m.PythonFiles()) > 0 && !m.mentions("checkpoint", "checkpoints", "SM_CHECKPOINT_DIR", "ckpt", "resume") {
		r.Manifest(at, "spot training may run for %s, and no code of the model speaks of checkpoints", m.Train.MaxRuntime)
	}
}

func secretsInEnvironment(m *Model, r *Report) {
	look := func(key string, variables manifest.Scalars) {
		for _, name := range slices.Sorted(maps.Keys(variables)) {
			if secretName(name) && secretValue(variables[name]) {
				r.Manifest(m.Position(key+"."+name), "%s.%s holds a secret in plain text", key, name).hidden = true
			}
		}
	}
	look("train.environment", m.Train.Environment)
	if m.Serve != nil {
		look("serve.environment", m.Serve.Environment)
	}
}

var secretWords = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(^|[_-])(passw(or)?d|passphrase|pwd|secret|token|api_?key|access_?key|secret_?key|private_?key|credentials?)[0-9]*$`)
})

// tokenWords are names that models of language give to tokens of another kind.
var tokenWords = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(^|_)(pad|mask|eos|bos|sep|cls|unk|unknown|stop|start|end|special|image|max|min|num|per|next|first|last|each)_token$`)
})

// secretName says whether a variable's name promises a secret.
func secretName(name string) bool {
	return secretWords().MatchString(name) && !tokenWords().MatchString(name)
}

// secretValue says whether a value may be a secret itself, rather than the
// name of one, a reference or a placeholder.
func secretValue(value string) bool {
	lower := strings.ToLower(value)
	if len(value) < 6 || strings.ContainsAny(value, "$<>{} ") || lower == "true" || lower == "false" {
		return false
	}
	for _, start := range []string{"arn:", "ssm:", "vault:", "file:", "/", "./", "s3://", "secretsmanager:"} {
		if strings.HasPrefix(lower, start) {
			return false
		}
	}
	return strings.Trim(lower, "*x.-_0") != ""
}

func unreadChannels(m *Model, r *Report) {
	if len(m.code()) == 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(m.Train.Channels)) {
		variable := "SM_CHANNEL_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(name))
		if m.mentions(name, variable, "SM_CHANNELS", "SM_INPUT_DIR", "/opt/ml/input", "SM_CHANNEL_") {
			continue
		}
		r.Manifest(m.Position("train.channels."+name), "no code of the model reads the channel %s: neither the word nor %s stands there", name, variable)
	}
}
