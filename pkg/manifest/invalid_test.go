package manifest_test

import (
	"strings"
	"testing"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
)

// invalid are edits of testdata/full.yaml that each make one mistake, what the
// loader says of it, and whether the JSON Schema, which sees no relations
// between keys, knows it too.
var invalid = []struct {
	name, old, text string
	want            string // without the position
	schema          bool
}{
	{"a project in capitals", "threat-scoring\n", "Threat\n", "project: Threat is not a name of lower-case letters, digits and single hyphens between them, 32 at most", true},
	{"a name with a double hyphen, which ECR refuses", "name: url-risk", "name: url--risk", "models[0].name: url--risk is not a name of lower-case letters, digits and single hyphens between them, 32 at most", true},
	{"a name that is too long", "name: url-risk", "name: " + strings.Repeat("a", 33), "models[0].name: the text has 33 characters, wanted 32 at most", true},
	{"a project that is a number", "threat-scoring\n", "42\n", "project: found the number 42, wanted text: put it in quotes", true},
	{"a project without a value", "project: threat-scoring\n", "project:\n", "project: there is no value, wanted one or no key at all", true},
	{"no project", "project: threat-scoring\n", "", "project: the key is missing", true},
	{"two models of one name", "name: domain-risk", "name: url-risk", "models[1].name: models[0] is called url-risk too", false},
	{"tags that look alike", "name: domain-risk", "name: url-risk-v2", "models[1].name: the tags of url-risk-v2 and of models[0], url-risk, could not be told apart", false},
	{"a training without a command", "train: {command: [python, -m, domain.train]}", "train: {count: 1}", "models[1].train.command: the key is missing", true},
	{"an evaluation without a training", "train: {command: [python, -m, domain.train]}", "evaluate: {}", "models[1].evaluate: there is nothing to judge without train", false},
	{"a server without a training", "train: {command: [python, -m, domain.train]}", "serve: {command: [python]}", "models[1].serve: there is nothing to serve without train", false},
	{"a user by name", `"1000:1000"`, "towline", "models[2].image.user: towline is not a number such as 1000, or two such as 1000:1000; a name means nothing to an image that is not unpacked", true},
	{"a user without quotes", `"1000:1000"`, "1000", "models[2].image.user: found the number 1000, wanted text: put it in quotes", true},
	{"root as the user", `"1000:1000"`, `"0"`, `models[2].image.user: 0 is not a number such as 1000, or two such as 1000:1000; a name means nothing to an image that is not unpacked`, true},
	{"a user for a model that is trained", "repository: {immutable: false, keep: 200}", `user: "1000"`, "models[0].image.user: SageMaker runs train and serve as root: name no user for a model that has them", false},
	{"a PATH of one's own", "LANG: C.UTF-8", "PATH: /bin", "models[2].image.environment.PATH: the PATH is made from that of the base: name folders under image.programs", false},
	{"programs outside of the model", "[bin, usr/bin]", "[../../bin]", "models[2].image.programs[0]: ../../bin leaves the repository", false},
	{"programs in an absolute folder", "[bin, usr/bin]", "[/bin]", "models[2].image.programs[0]: /bin is not a folder of the model such as bin, of letters, digits, dots, hyphens and underscores", true},
	{"a model called like a folder of .towline", "name: domain-risk", "name: reports", "models[1].name: reports is the name of a folder in .towline, choose another one", false},
	{"an absolute path", "path: models/url-risk", "path: /srv", "models[0].path: /srv is absolute, wanted a path within the repository", false},
	{"a path that leaves the repository", "path: models/url-risk", "path: models/../../x", "models[0].path: models/../../x leaves the repository", false},
	{"requirements that leave the repository", "requirements: requirements.txt", "requirements: ../../../r.txt", "models[0].image.requirements: ../../../r.txt leaves the repository", false},
	{"a path with backslashes", "path: models/url-risk", `path: models\url`, `models[0].path: "models\\url" is not a path, wanted one with / between its parts`, false},
	{"a path into .git", "[libs/features]", "[.git/hooks]", "models[0].shared[0]: .git/hooks lies in .git, which is no part of a model", false},
	{"a folder twice", "[libs/features]", "[libs, libs]", "models[0].shared[1]: libs stands in the list already, as item 0", true},
	{"a first version with a v", "initial: 1.0.0", "initial: v1.0.0", "models[0].version.initial: v1.0.0 is not a version of three numbers such as 0.1.0", true},
	{"a bump that is none", "docs: patch", "docs: huge", "models[0].version.bumps.docs: found huge, wanted major, minor, patch or none", true},
	{"a type of commits in capitals", "{docs: patch", "{Docs: patch", "models[0].version.bumps: the name Docs is not legal, wanted a type of commits: lower-case letters, digits, hyphens and underscores, 32 at most", true},
	{"always more than a patch", "always: patch", "always: minor", "models[0].version.always: found minor, wanted none or patch", true},
	{"an excluded path that leaves the repository", "[models/url-risk/docs]", "[../docs]", "models[0].version.exclude[0]: ../docs leaves the repository", false},
	{"a profile that there is not", "profile: production", "profile: strict", "lint.profile: found strict, wanted prototype, team or production", true},
	{"a severity that there is not", "severity: minor", "severity: error", "lint.rules.TL101.severity: found error, wanted off, info, minor, major, critical or blocker", true},
	{"a rule that cannot be one", "TL101: {", "no-rule: {", "lint.rules: the name no-rule is not legal, wanted a rule such as TL101, pylint:unused-import or ruff:F401", true},
	{"a tool that is neither run nor not", "ruff: required", "ruff: true", "lint.tools.ruff: found true, wanted text: put it in quotes", true},
	{"a linked model that there is not", "[[url-risk, domain-risk]]", "[[url-risk, ip-risk]]", "linked[0][1]: there is no model ip-risk", false},
	{"a group of one", "[[url-risk, domain-risk]]", "[[url-risk]]", "linked[0]: there are 1 entries, wanted 2 at least", true},
	{"a model in two groups", "[[url-risk, domain-risk]]", "[[url-risk, domain-risk], [domain-risk, url-risk]]", "linked[1][0]: domain-risk is in linked[0] already", false},
	{"a platform that is none", "linux/arm64/v8", "linux/amd46", "models[0].image.platforms[1]: linux/amd46 is not a platform such as linux/amd64 or linux/arm64", true},
	{"Python without quotes", `python: "3.12"`, "python: 3.12", "models[0].image.python: found the number 3.12, wanted text: put it in quotes", true},
	{"a Python that is too old", `python: "3.12"`, `python: "3.7"`, "models[0].image.python: found 3.7, wanted 3.9, 3.10, 3.11, 3.12, 3.13 or 3.14", true},
	{"no words in a command", "[python, serve.py]", "[]", "models[0].serve.command: there are 0 entries, wanted 1 at least", true},
	{"a number in a command", "[python, serve.py]", "[python, 1]", "models[0].serve.command[1]: found the number 1, wanted text: put it in quotes", true},
	{"a channel that is an unknown address", "s3://data-bucket/train/", "gs://bucket/train/", `models[0].train.channels.train: "gs://bucket/train/" is neither a folder nor an address such as s3://bucket/prefix/`, false},
	{"a channel without a bucket", "s3://data-bucket/train/", "s3:///train/", `models[0].train.channels.train: "s3:///train/" is neither a folder nor an address such as s3://bucket/prefix/`, false},
	{"a channel with an illegal name", "test: data/test", "../test: data/test", "models[0].train.channels: the name ../test is not legal, wanted a name of letters, digits, dots, hyphens and underscores, 64 at most", true},
	{"a channel of ours", "test: data/test", "test: data/test, Towline-model: data", "models[0].train.channels.Towline-model: channels that begin with towline- are Towline's own, choose another name", false},
	{"a champion that is neither", "champion: recorded", "champion: never", "models[0].evaluate.champion: found never, wanted again or recorded", true},
	{"channels that share a variable", "test: data/test", "test: data/test, Test: data/more", "models[0].train.channels.test: the channels Test and test would share the variable SM_CHANNEL_TEST", false},
	{"a hyperparameter that is a list", "depth: 6", "depth: [6]", "models[0].train.hyperparameters.depth: found a list, wanted text, a number, true or false", true},
	{"a hyperparameter without a value", "depth: 6", "depth: ", "models[0].train.hyperparameters.depth: there is no value, wanted one or no key at all", true},
	{"a hyperparameter that is too long", "depth: 6", "depth: " + strings.Repeat("x", 2501), "models[0].train.hyperparameters.depth: the text has 2501 characters, wanted 2500 at most", true},
	{"a variable with an illegal name", "OMP_NUM_THREADS", "OMP-NUM", "models[0].train.environment: the name OMP-NUM is not legal, wanted a name of letters, digits and underscores that does not begin with a digit", true},
	{"a variable of ours", "OMP_NUM_THREADS", "TOWLINE_VERSION", "models[0].train.environment.TOWLINE_VERSION: variables that begin with TOWLINE_ are set by Towline itself", false},
	{"a variable that is too long", "LOG_LEVEL: info", "LOG_LEVEL: " + strings.Repeat("x", 1025), "models[0].serve.environment.LOG_LEVEL: the text has 1025 characters, wanted 1024 at most", true},
	{"an instance type that is none", "ml.m5.xlarge", "m5.xlarge", "models[0].train.instance: m5.xlarge is not a SageMaker instance type such as ml.m5.large", true},
	{"no instances", "count: 2", "count: 0", "models[0].train.count: 0 is out of range, wanted 1 to 1000", true},
	{"a count that is text", "count: 2", "count: two", "models[0].train.count: found the text two, wanted a whole number", true},
	{"a count beyond all bounds", "count: 2", "count: 99999999999999999999", "models[0].train.count: found the number 99999999999999999999, wanted a whole number", true},
	{"too large a disk", "volume_gb: 50", "volume_gb: 16385", "models[0].train.volume_gb: 16385 is out of range, wanted 1 to 16384", true},
	{"a switch that is text", "spot: true", "spot: maybe", "models[0].train.spot: found the text maybe, wanted true or false", true},
	{"a duration without a unit", "max_runtime: 2h", "max_runtime: 7200", "models[0].train.max_runtime: 7200 is not a duration, wanted one such as 90s, 15m or 1h30m", true},
	{"a duration in days", "max_runtime: 2h", "max_runtime: 2d", "models[0].train.max_runtime: 2d is not a duration, wanted one such as 90s, 15m or 1h30m", true},
	{"a training that is too long", "max_runtime: 2h", "max_runtime: 673h", "models[0].train.max_runtime: 673h is out of range, wanted 1s to 672h", false},
	{"a start that is too quick", "startup: 1m30s", "startup: 59s", "models[0].serve.startup: 59s is out of range, wanted 1m to 1h", false},
	{"an unknown channel for the evaluation", "channel: test", "channel: tests", "models[0].evaluate.channel: the training has no channel tests, wanted test or train", false},
	{"a rule without a limit", ", at_least: 0.80, may_drop: 0.005", "", "models[0].evaluate.gate[0]: the rule has no limit, wanted one of at_least, may_drop, at_most and may_rise", false},
	{"a floor where lower is better", "at_most: 1", "at_least: 1", "models[0].evaluate.gate[1].at_least: at_least goes with better: higher, but lower is better here", false},
	{"a rise where higher is better", "may_drop: 0.005", "may_rise: 0.005", "models[0].evaluate.gate[0].may_rise: may_rise goes with better: lower, but higher is better here", false},
	{"a negative drop", "may_drop: 0.005", "may_drop: -0.005", "models[0].evaluate.gate[0].may_drop: -0.005 is negative, wanted how far the metric may move the wrong way", false},
	{"a limit that is no number", "at_least: 0.80", "at_least: .nan", "models[0].evaluate.gate[0].at_least: found .nan, wanted a finite number", true},
	{"a limit in quotes", "at_least: 0.80", `at_least: "0.80"`, "models[0].evaluate.gate[0].at_least: found the text 0.80, wanted a number", true},
	{"a direction that is none", "better: lower", "better: less", "models[0].evaluate.gate[1].better: found less, wanted higher or lower", true},
	{"two rules for one metric", "metric: log loss, better: lower, at_most: 1, may_rise: 0", "metric: f1, better: higher, at_least: 1", "models[0].evaluate.gate[1].metric: gate[0] is a rule for f1 already", false},
	{"a media type that is none", "content_type: text/csv", "content_type: csv", "models[0].serve.sample.content_type: csv is not a media type such as application/json or text/csv", true},
	{"the environment local", "  prod:", "  local:", "environments.local: the environment local is built in, choose another name", false},
	{"an environment in capitals", "  prod:", "  PROD:", "environments: the name PROD is not legal, wanted a name of lower-case letters, digits and single hyphens between them, 32 at most", true},
	{"a region that is none", "region: eu-west-1", "region: Ireland", "environments.prod.region: Ireland is not an AWS region such as eu-west-1", true},
	{"a role without its account", "iam::123456789012:role/towline-deploy", "iam:::role/towline-deploy", `environments.prod.role: "arn:aws:iam:::role/towline-deploy" is not the ARN of a role such as arn:aws:iam::123456789012:role/towline`, true},
	{"an address for a bucket", "bucket: threat-scoring-prod", "bucket: s3://threat-scoring-prod", `environments.prod.bucket: "s3://threat-scoring-prod" is not the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens, without s3://`, true},
	{"an address for a registry", "registry: 123", "registry: https://123", `environments.prod.registry: "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/models" is not a host and perhaps a path, such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com, without https://`, true},
	{"a network without subnets", "[subnet-0a1b2c3d]", "[]", "environments.prod.vpc.subnets: there are 0 entries, wanted 1 at least", true},
	{"a key that is none", "arn:aws:kms:eu-west-1:123456789012:key/", "arn:aws:iam::1:key/", `environments.prod.kms_key: "arn:aws:iam::1:key/0a1b2c3d-aaaa-bbbb-cccc-0a1b2c3d4e5f" is not a KMS key: its ARN, its ID, or alias/ and its alias`, true},
	{"a tag of AWS's", `"team"`, `"AWS:team"`, `environments.prod.tags."AWS:team": tags that begin with aws: or towline: are not the user's to set`, false},
	{"a tag with a brace", "cost-center: 42", `cost-center: "{42}"`, `environments.prod.tags.cost-center: "{42}" is not letters, digits, spaces and _ . : / = + - @`, true},
	{"a misspelt key", "max_runtime", "maxRuntime", "models[0].train.maxRuntime: unknown key, did you mean max_runtime?", true},
	{"a merge key", "command: [python, serve.py]", "<<: {command: [python]}", "models[0].serve: merge keys (<<) are not known here: write the keys out, or use an alias for the whole value", false},
	{"a key that is a list", "path: models/url-risk", "? [a]\n    : b", "models[0]: found a list as a key, wanted a name", true},
	{"a tag of YAML's", "max_runtime: 2h", "max_runtime: !!binary aGk=", `models[0].train.max_runtime: found the YAML tag "!!binary", wanted a duration such as 90s, 15m or 1h30m`, true},
}

func TestLoadRefuses(t *testing.T) {
	full := string(read(t, "testdata/full.yaml"))
	for _, tt := range invalid {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(full, tt.old, tt.text, 1)
			_, err := manifest.Load([]byte(text))
			if fault.KindOf(err) != fault.Repository {
				t.Fatalf("Load = %v of kind %v, wanted the repository's", err, fault.KindOf(err))
			}
			for _, line := range fault.DetailsOf(err) {
				if strings.HasSuffix(line, ": "+tt.want) {
					return
				}
			}
			t.Errorf("Load says\n%s\nwant\n%s", strings.Join(fault.DetailsOf(err), "\n"), tt.want)
		})
	}
}

func TestModelsWhoseEndpointsShareAName(t *testing.T) {
	_, err := manifest.Load([]byte(`apiVersion: towline/v1
project: a
models:
  - {name: url, train: {command: [python]}}
  - {name: url-eu, train: {command: [python]}}
environments:
  eu-prod: {region: eu-west-1, execution_role: "arn:aws:iam::123456789012:role/r", bucket: bucket, registry: r.example.com}
  prod: {region: eu-west-1, execution_role: "arn:aws:iam::123456789012:role/r", bucket: bucket, registry: r.example.com}
`))
	want := "towline.yaml:5:12: models[1].name: the endpoints of url-eu in prod and of url in eu-prod would have the same name"
	if got := fault.DetailsOf(err); len(got) != 1 || got[0] != want {
		t.Errorf("Load = %q, want %q", got, want)
	}
}
