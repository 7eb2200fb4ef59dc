package lint_test

import (
	"testing"

	"gitlab.com/towline/towline/pkg/lint"
)

const head = "apiVersion: towline/v1\nproject: p\nmodels:\n  - name: m\n"

func TestManifestRules(t *testing.T) {
	with := func(rest string, files ...string) map[string]string {
		all := map[string]string{"towline.yaml": head + rest}
		for i := 0; i+1 < len(files); i += 2 {
			all[files[i]] = files[i+1]
		}
		return all
	}
	const train = "    train: {command: [python, train.py]}\n"
	run(t, []ruleCase{
		{"every problem has its line", "TL201", map[string]string{"towline.yaml": "apiVersion: towline/v1\nproject: P\nmodels: []\n"}, "", []string{"towline.yaml:2", "towline.yaml:3"}},
		{"a file that is no YAML", "TL201", map[string]string{"towline.yaml": "a: [\n"}, "", []string{"towline.yaml:1"}},
		{"a module that is not there", "TL203", with("    train: {command: [python, -m, pkg.train]}\n", "pkg/__init__.py", ""), "", []string{"towline.yaml:5"}},
		{"a module of a library", "TL203", with("    train: {command: [python, -m, torch.distributed.run]}\n"), "", nil},
		{"an absolute script is the image's", "TL203", with("    train: {command: [python, /opt/x.py]}\n"), "", nil},
		{"an address is no folder", "TL204", with("    train: {command: [train], channels: {a: 's3://bucket/a'}}\n"), "", nil},
		{"a base with a digest", "TL205", with("    image: {base: 'python@sha256:" + hex64 + "'}\n" + train), "", nil},
		{"latest behind a port", "TL205", with("    image: {base: 'host:5000/python'}\n" + train), "", []string{"towline.yaml:5"}},
		{"a deep learning container's Python", "TL207", with("    image: {base: 'host/pytorch-training:2.1.0-cpu-py310-ubuntu20.04'}\n" + train), "", []string{"towline.yaml:5"}},
		{"an image that does not say its Python", "TL207", with("    image: {base: 'host/base:1'}\n" + train), "", nil},
		{"hosting only", "TL209", with("    train: {command: [a], instance: ml.c7g.large}\n"), "", []string{"towline.yaml:5"}},
		{"Graviton with an image for it", "TL210", with("    image: {platforms: [linux/amd64, linux/arm64]}\n" + train + "    serve: {command: [a], instance: ml.m6g.large}\n"), "", nil},
		{"GPU families are no Graviton", "TL210", with(train + "    serve: {command: [a], instance: ml.g5.xlarge}\n"), "", nil},
		{"x86 with an image for Graviton", "TL210", with("    image: {platforms: [linux/arm64]}\n" + train), "", []string{"towline.yaml:6"}},
		{"a token of a language model", "TL212", with("    train: {command: [a], environment: {PAD_TOKEN: '[PADDING]', MAX_TOKENS: '1024000'}}\n"), "", nil},
		{"the name of a secret", "TL212", with("    train: {command: [a], environment: {API_TOKEN: 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:a'}}\n"), "", nil},
		{"an API key", "TL212", with("    train: {command: [a], environment: {WANDB_API_KEY: 0123456789abcdef}}\n"), "", []string{"towline.yaml:5"}},
		{"a channel by its variable", "TL213", with("    train: {command: [a], channels: {my-data: d}}\n", "a.py", "x = SM_CHANNEL_MY_DATA\n"), "", nil},
		{"a channel that only a test reads", "TL213", with("    train: {command: [a], channels: {extra: d}}\n", "a.py", "x = 1\n", "tests/test_a.py", "extra\n"), "", []string{"towline.yaml:5"}},
		{"a metric put together", "TL214", with("    train: {command: [a]}\n    evaluate: {gate: [{metric: val_f1, better: higher, at_least: 0.5}]}\n", "a.py", "m[f'{s}_f1'] = s in ('val',)\n"), "", nil},
		{"a metric within another word", "TL214", with("    train: {command: [a]}\n    evaluate: {gate: [{metric: f1, better: higher, at_least: 0.5}]}\n", "a.py", "xf1y = 2\n"), "", []string{"towline.yaml:6"}},
		{"a model that is not served needs no gate", "TL215", with(train), lint.Production, nil},
	})
}

const hex64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
