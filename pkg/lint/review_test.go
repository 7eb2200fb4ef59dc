package lint_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// notebook makes the file of a notebook from its cells.
func notebook(t *testing.T, cells ...string) map[string]string {
	t.Helper()
	var list []any
	for _, text := range cells {
		list = append(list, map[string]any{"cell_type": "code", "metadata": map[string]any{}, "execution_count": nil, "outputs": []any{}, "source": text})
	}
	data, err := json.Marshal(map[string]any{"nbformat": 4, "nbformat_minor": 5, "metadata": map[string]any{}, "cells": list})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"a.ipynb": string(data)}
}

// Each of these was told wrongly of a real repository: docs/lint-review.md.
func TestWhatTheReviewMended(t *testing.T) {
	py := func(text string) map[string]string { return map[string]string{"train.py": text} }
	dag := func(text string) map[string]string {
		return map[string]string{"dags/a.py": "from airflow import DAG\nfrom airflow.models.param import Param\nimport datetime\n" + text}
	}
	cells := func(list ...string) map[string]string { return notebook(t, list...) }
	run(t, []ruleCase{
		{"a command of several lines", "TL301", cells("!docker run \\\n   --rm \\\n  image\nx = 1"), "", nil},
		{"a command whose answer is kept", "TL301", cells("if True:\n    tag = !cat a \\\n        | grep b\n    x = 1"), "", nil},
		{"a command without a mark", "TL301", cells("pip install -U boto3", "rm -rf $DIR", "cd .."), "", nil},
		{"a variable with a command's name", "TL301", cells("ls = [1]\nls == 2\nls in x\ncat -x"), "", nil},
		{"a cell that is indented as a whole", "TL301", cells("    with a as b:\n        c = 1\n    d = 2"), "", nil},
		{"a text that ends with a question mark", "TL301", cells("a = '''May I? \nIs it so?\n   b'''"), "", nil},
		{"help", "TL301", cells("pd.read_csv??\nx = 1"), "", nil},
		{"what is wrong in a notebook", "TL301", cells("!ls \\\n  -l\nx = len(a) // 2)"), "", []string{"a.ipynb:1"}},
		{"an encoding of several bytes per character", "TL301", py("# -*- coding: euc-jp -*-\nx = '\xa4\xa2'\n"), "", nil},
		{"an encoding that there is not", "TL301", py("# -*- coding: utf-99 -*-\nx = 1\n"), "", []string{"train.py:1"}},

		{"a runner's home", "TL302", py("x = \"/home/runner/work\"\n"), "", nil},
		{"a path that is only asked for", "TL303", py("from pathlib import Path\nx = Path(\"/checkpoint/\").is_dir()\n"), "", nil},
		{"a path that is used", "TL303", py("from pathlib import Path\nx = Path(\"/checkpoint/\").read_text()\n"), "", []string{"train.py:2"}},
		{"a placeholder for a bucket", "TL305", py("x = \"s3://path/to/data\"\n"), "", nil},
		{"a processing job's folder", "TL406", py("x = \"/opt/ml/processing/input\"\n"), "", nil},

		{"what a cell shows", "TL322", cells("import pandas as pd\ndf.sort_values('a')"), "", nil},
		{"what a cell shows, and a comment", "TL322", cells("import pandas as pd\ndf.sort_values(\n    'a')\n# so far"), "", nil},
		{"what a cell drops", "TL322", cells("import pandas as pd\ndf.fillna(0)\ndf.describe()"), "", []string{"a.ipynb:1"}},
		{"what a loop at a cell's end drops", "TL322", cells("import pandas as pd\nfor c in df:\n    df[c].fillna(0)"), "", []string{"a.ipynb:1"}},

		{"an action beside type=bool", "TL326", py("parser.add_argument(\"--a\", action=argparse.BooleanOptionalAction, type=bool)\n"), "", nil},
		{"a function of another meaning", "TL407", py("def transform_fn(data, config):\n    return data\n"), "", nil},
		{"a transform_fn of SageMaker's", "TL407", py("def transform_fn(model, data):\n    return data\n"), "", []string{"train.py:1"}},
		{"a loader that keeps what it loads", "TL417", py("def load_model():\n    global model\n    if not model:\n        model = joblib.load(\"m\")\n\n\n@app.route(\"/invocations\")\ndef predict():\n    load_model()\n"), "", nil},
		{"a loader with a cache", "TL417", py("import joblib\n\n\n@cache\ndef load_model():\n    return joblib.load(\"m\")\n\n\ndef predict_fn(data, model):\n    load_model()\n"), "", nil},
		{"a loader that loads each time", "TL417", py("import joblib\n\n\ndef load_model():\n    return joblib.load(\"m\")\n\n\ndef predict_fn(data, model):\n    load_model()\n"), "", []string{"train.py:9"}},
		{"a model that the toolkit asks", "TL325", py("import torch\n\n\ndef model_fn(model_dir):\n    model = Net()\n    model.load_state_dict(torch.load(model_dir))\n    return model\n"), "", nil},
		{"an option that is required on a condition", "TL502", trainWith("if version == 1:\n    parser.add_argument(\"--rank\", required=True)\n"), "", nil},

		{"a parameter's default", "TL753", dag("d = DAG(\"a\", params={\"start_date\": Param(f\"{datetime.date.today()}\")})\n"), "", nil},
		{"a start that moves", "TL753", dag("d = DAG(\"a\", default_args={\"start_date\": datetime.datetime.now()})\n"), "", []string{"dags/a.py:4"}},
		{"packages of Debian", "TL803", map[string]string{"deb-requirements.txt": "libssl-dev libglib2.0-dev\n"}, "", nil},
		{"a file that comes with the model", "TL808", map[string]string{"requirements.txt": "/opt/ml/model/code/a-1.0-py3-none-any.whl\n"}, "", nil},
		{"a placeholder for a base", "TL814", map[string]string{"Dockerfile": "FROM __BASE_IMAGE__\n"}, "", nil},
		{"a folder of /opt/ml that is not mounted", "TL815", map[string]string{"Dockerfile": "FROM a:1\nCOPY plumber.R /opt/ml/plumber.R\n"}, "", nil},

		{"the identifier in a signed address", "TL601", py("x = 'https://a.example/b?X-Amz-Credential=" + accessKey + "%2F2022'\n"), "", nil},
		{"a value that only a name gives away", "TL601", py("x = {'airtable_table': 'tbl8SqeUV36X" + "vbk1m'}\n"), "", nil},
		{"a picture in an output", "TL601", map[string]string{"a.ipynb": `{"cells": [{"outputs": [{"image/png": "` + strings.Repeat(accessKey+"x", 200) + `"}]}]}`}, "", nil},
	})
}

// trainWith are a manifest without hyperparameters and a training with those options.
func trainWith(options string) map[string]string {
	return map[string]string{"towline.yaml": model(""), "train.py": "import argparse\n\nparser = argparse.ArgumentParser()\n" + options + "parser.parse_args()\n"}
}

// SageMaker calls an image with train and serve: programs without an ending.
func TestProgramsWithoutAnEndingAreRead(t *testing.T) {
	files := map[string]string{
		"towline.yaml": strings.Replace(model("      channels: {training: data}\n"), "[python, train.py]", "[./train]", 1),
		"train":        "#!/usr/bin/env python\nimport os\n\nchannel = 'training'\nopen('/home/jo/rows.csv')\n",
	}
	run(t, []ruleCase{
		{"a channel that is read", "TL213", files, "", nil},
		{"a path", "TL302", files, "", []string{"train:5"}},
		{"a model's folder that is put together", "TL404", map[string]string{"towline.yaml": files["towline.yaml"], "train": "#!/usr/bin/env python\nimport os\nmodel = os.path.join('/opt/ml/', 'model')\n"}, "", nil},
		{"a training that writes no model", "TL404", files, "", []string{"train"}},
		{"a program of the shell", "TL302", map[string]string{"train": "#!/bin/sh\nopen('/home/jo/rows.csv')\n"}, "", nil},
	})
}
