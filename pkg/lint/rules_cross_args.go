package lint

import (
	"slices"
	"strconv"
	"strings"

	"gitlab.com/towline/towline/pkg/lint/python"
)

// crossRules compare the manifest, the code and the requirements: family 5.
func crossRules() []Rule {
	return []Rule{
		unknownOption(), requiredOption(), optionValue(), ignoredHyperparameter(), missingChannel(), unsetVariable(),
		undeclaredImport(), unusedRequirement(), newerSyntax(), gpuWeights(), pickledInMain(),
	}
}

// option is one option of argparse.
type option struct {
	flags    []string // --batch-size, -b; a name without hyphens is one by position
	required bool
	kind     string // the name of its type, such as int; "" for text
	choices  []string
	takes    bool // a value follows it
	call     python.Call
}

// cli is how a training reads its command line.
type cli struct {
	code
	options []option
	strict  bool // parse_args: an unknown option ends the program with code 2
	loose   bool // parse_known_args: an unknown option is ignored
}

// otherCLIs read command lines in ways that are not followed here.
var otherCLIs = []string{"click", "typer", "fire", "hydra", "absl", "jsonargparse", "tyro", "simple_parsing", "configargparse", "docopt", "plac", "sagemaker_training"}

// cli finds the options of the training; not ok if not all of them are known.
func (m *Model) cli() (cli, bool) {
	c, ok := m.training()
	if !ok {
		return cli{}, false
	}
	found := cli{code: c}
	for _, f := range m.closure(c.in) {
		part := code{f.Python(), f}
		if part.imports(otherCLIs...) || part.Error != nil {
			return cli{}, false
		}
		for _, mark := range []string{"HfArgumentParser", "LightningCLI", "add_subparsers", "parents=", "sys.argv", "add_arguments(", "fromfile_prefix_chars"} {
			if strings.Contains(part.Text, mark) {
				return cli{}, false
			}
		}
		for _, call := range part.Calls {
			switch last(call.Name) {
			case "add_argument":
				o, ok := part.option(call)
				if !ok {
					return cli{}, false
				}
				found.options = append(found.options, o)
			case "parse_args":
				found.strict = true
			case "parse_known_args", "parse_intermixed_args":
				found.loose = true
			}
		}
	}
	return found, len(found.options) > 0 && (found.strict || found.loose)
}

// option reads a call of add_argument; not ok if its names are not written out.
func (c code) option(call python.Call) (option, bool) {
	o := option{takes: true, call: call, required: c.is(call.Arg("required"), "True")}
	if call.Unpacks() {
		return o, false
	}
	for i := 0; call.Pos(i) != 0; i++ {
		flag, ok := c.literal(call.Pos(i))
		if !ok {
			return o, false
		}
		o.flags = append(o.flags, flag)
	}
	if action, ok := c.literal(call.Arg("action")); ok && action != "store" && action != "append" && action != "extend" {
		o.takes = false
	} else if last(c.Name(call.Arg("action"))) == "BooleanOptionalAction" {
		o.takes = false
	}
	o.kind = c.Name(call.Arg("type"))
	if call.Arg("nargs") != 0 {
		o.kind = "list"
	}
	for _, e := range c.Elements(call.Arg("choices")) {
		choice, ok := c.literal(e)
		if !ok && c.number(e) == "" {
			o.choices = nil
			break
		}
		o.choices = append(o.choices, choice+c.number(e))
	}
	return o, len(o.flags) > 0
}

// find is the option that --name means, also shortened, as argparse allows.
func (c cli) find(name string) (option, bool) {
	var found []option
	for _, o := range c.options {
		for _, flag := range o.flags {
			if flag == "--"+name {
				return o, true
			}
			if strings.HasPrefix(flag, "--"+name) {
				found = append(found, o)
			}
		}
	}
	if len(found) == 1 {
		return found[0], true
	}
	return option{}, false
}

// near is an option whose name differs only in hyphens and underscores.
func (c cli) near(name string) string {
	plain := strings.NewReplacer("-", "", "_", "")
	for _, o := range c.options {
		for _, flag := range o.flags {
			if strings.HasPrefix(flag, "--") && strings.EqualFold(plain.Replace(flag), plain.Replace(name)) {
				return ": did you mean " + flag + "?"
			}
		}
	}
	return ""
}

// trains makes files of a training and of hyperparameters.
func trains(hyperparameters, code string) map[string]string {
	return map[string]string{
		"towline.yaml": jobManifest("      hyperparameters: {"+hyperparameters+"}\n", ""),
		"train.py":     "import argparse\nimport os\n\nparser = argparse.ArgumentParser()\n" + code + "print(os.environ[\"SM_MODEL_DIR\"])\n",
	}
}

func unknownOption() Rule {
	return Rule{
		ID: "TL501", Name: "unknown-option", Severity: Critical,
		Looks:  "hyperparameters of the manifest that the training's argparse does not know",
		Why:    "argparse ends with code 2: trainings of SageMaker stopped at unrecognized arguments: --model_dir (aws/sagemaker-python-sdk#1720), and for an underscore instead of a hyphen (aws-samples/finetune-deploy-bert-with-amazon-sagemaker-for-hugging-face#1)",
		Advice: "add the option to the parser, or correct the name in towline.yaml",
		Bad:    Example{Files: trains("batch_size: 8", "parser.add_argument(\"--batch-size\", type=int)\nprint(parser.parse_args())\n"), At: "towline.yaml:7"},
		Good:   Example{Files: trains("batch-size: 8", "parser.add_argument(\"--batch-size\", type=int)\nprint(parser.parse_args())\n")},
		Model: func(m *Model, r *Report) {
			c, ok := m.cli()
			if !ok || c.loose {
				return
			}
			for name := range m.Train.Hyperparameters {
				if _, known := c.find(name); !known {
					r.Manifest(m.Position("train.hyperparameters."+name), "%s knows no option --%s and ends at once%s", c.in.Path, name, c.near(name))
				}
			}
		},
	}
}

func ignoredHyperparameter() Rule {
	return Rule{
		ID: "TL504", Name: "ignored-hyperparameter", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "hyperparameters that parse_known_args of the training passes over, and that no other code of the model names",
		Why:    "train_batch_size was given and train-batch-size was read, so that a tutorial of Hugging Face trained with its defaults, without a word (huggingface/notebooks#52)",
		Advice: "add the option to the parser, or correct the name in towline.yaml; parse_args() would have told",
		Bad:    Example{Files: trains("batch_size: 8", "parser.add_argument(\"--batch-size\", type=int)\nprint(parser.parse_known_args())\n"), At: "towline.yaml:7"},
		Good:   Example{Files: trains("batch-size: 8", "parser.add_argument(\"--batch-size\", type=int)\nprint(parser.parse_known_args())\n")},
		Model: func(m *Model, r *Report) {
			c, ok := m.cli()
			if !ok || !c.loose {
				return
			}
			for name := range m.Train.Hyperparameters {
				if _, known := c.find(name); !known && !m.codeSays(name, "SM_HPS", "SM_HP_"+variableName(name), "hyperparameters.json") {
					r.Manifest(m.Position("train.hyperparameters."+name), "no code reads --%s%s", name, c.near(name))
				}
			}
		},
	}
}

// codeSays says whether the model's code or configuration holds one of those texts.
func (m *Model) codeSays(texts ...string) bool {
	return slices.ContainsFunc(m.files, func(f *File) bool { return f.mayConfigure() && f.says(texts) })
}

// variableName is a name as it stands in SM_CHANNEL_… and SM_HP_….
func variableName(name string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			return c
		}
		return '_'
	}, strings.ToUpper(name))
}

func requiredOption() Rule {
	return Rule{
		ID: "TL502", Name: "required-option", Severity: Critical,
		Looks:  "options and arguments that the training's argparse requires, and that neither the hyperparameters nor the command give",
		Why:    "argparse ends with code 2 when one is missing: scripts of aws-samples/amazon-sagemaker-script-mode require --model_dir, which only SageMaker's image of TensorFlow adds (tf-distribution-options/code/train_hvd.py)",
		Advice: "add the hyperparameter to towline.yaml, or give the option a default",
		Bad:    Example{Files: trains("epochs: 3", "parser.add_argument(\"--epochs\", type=int)\nparser.add_argument(\"--rate\", type=float, required=True)\nprint(parser.parse_args())\n"), At: "train.py:6"},
		Good:   Example{Files: trains("epochs: 3, rate: 0.1", "parser.add_argument(\"--epochs\", type=int)\nparser.add_argument(\"--rate\", type=float, required=True)\nprint(parser.parse_args())\n")},
		Model: func(m *Model, r *Report) {
			c, ok := m.cli()
			if !ok {
				return
			}
			for _, o := range c.options {
				if o.required && !m.gives(c, o) && c.owns(o) && !c.guarded(o.call.Stmt) {
					c.found(r, o.call.Start, "%s is required, and neither train.hyperparameters nor train.command gives it", o.flags[len(o.flags)-1])
				}
			}
		},
	}
}

// owns says whether an option is one of the entry itself.
func (c cli) owns(o option) bool {
	return slices.ContainsFunc(c.Calls, func(call python.Call) bool { return call.Start == o.call.Start && call.Expr == o.call.Expr })
}

// gives says whether the manifest gives an option.
func (m *Model) gives(c cli, o option) bool {
	for name := range m.Train.Hyperparameters {
		if found, ok := c.find(name); ok && found.call.Start == o.call.Start {
			return true
		}
	}
	for _, word := range m.Train.Command {
		flag, _, _ := strings.Cut(word, "=")
		if slices.Contains(o.flags, flag) {
			return true
		}
	}
	return false
}

func optionValue() Rule {
	return Rule{
		ID: "TL503", Name: "option-value", Severity: Critical,
		Looks:  "hyperparameters whose value the training's argparse refuses: no int, no float, none of the choices, or a value for a flag",
		Why:    "every hyperparameter comes as --name value, and argparse ends with code 2 where the value does not fit: mace was called with --pin_memory=False (ACEsuit/mace#429), which a flag with action=store_true refuses",
		Advice: "correct the value in towline.yaml, or the option's type; for a flag take a type that reads true and false",
		Bad:    Example{Files: trains("shuffle: true", "parser.add_argument(\"--shuffle\", action=\"store_true\")\nprint(parser.parse_args())\n"), At: "towline.yaml:7"},
		Good:   Example{Files: trains("depth: 6", "parser.add_argument(\"--depth\", type=int)\nprint(parser.parse_args())\n")},
		Model: func(m *Model, r *Report) {
			c, ok := m.cli()
			if !ok {
				return
			}
			for name, value := range m.Train.Hyperparameters {
				if o, known := c.find(name); known && (o.takes || !c.loose) {
					if wrong := o.refuses(value); wrong != "" {
						r.Manifest(m.Position("train.hyperparameters."+name), "%s refuses --%s %s: %s", c.in.Path, name, value, wrong)
					}
				}
			}
		},
	}
}

// refuses is why argparse does not take a value, or "".
func (o option) refuses(value string) string {
	if !o.takes {
		return "the option takes no value"
	}
	switch o.kind {
	case "int":
		if _, err := strconv.ParseInt(strings.ReplaceAll(strings.TrimSpace(value), "_", ""), 10, 64); err != nil {
			return "it is no int"
		}
	case "float":
		if _, err := strconv.ParseFloat(strings.ReplaceAll(strings.TrimSpace(value), "_", ""), 64); err != nil {
			return "it is no float"
		}
	}
	if len(o.choices) > 0 && (o.kind == "" || o.kind == "str" || o.kind == "int") && !slices.Contains(o.choices, value) {
		return "it is none of " + strings.Join(o.choices, ", ")
	}
	return ""
}
