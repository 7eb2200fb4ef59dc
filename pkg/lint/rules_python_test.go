package lint_test

import (
	"slices"
	"testing"

	"gitlab.com/towline/towline/pkg/lint"
)

// rule finds a rule of the catalogue.
func rule(t *testing.T, id string) lint.Rule {
	t.Helper()
	for _, r := range lint.Catalogue() {
		if r.ID == id {
			return r
		}
	}
	t.Fatalf("no rule %s", id)
	return lint.Rule{}
}

func TestRulesForOnePythonFile(t *testing.T) {
	for _, tt := range []struct {
		name, id, code string
		want           []string
	}{
		{"Python 2 is a syntax error", "TL301", "print \"hello\"\n", []string{"train.py:1"}},
		{"an open bracket", "TL301", "rows = [1, 2\nprint(rows)\n", []string{"train.py:1"}},
		{"an empty file", "TL301", "", nil},
		{"newer syntax is no error", "TL301", "match command:\n    case 1 | 2:\n        pass\n", nil},

		{"a home folder on a Mac", "TL302", "open(\"/Users/jo/rows.csv\")\n", []string{"train.py:1"}},
		{"a home folder on Windows", "TL302", "open(\"C:\\\\Users\\\\jo\\\\rows.csv\")\n", []string{"train.py:1"}},
		{"a home folder in an f-string", "TL302", "open(f\"/home/jo/{name}.csv\")\n", []string{"train.py:1"}},
		{"the home of an image", "TL302", "open(\"/home/airflow/gcs/rows.csv\")\n", nil},
		{"a route that begins with home", "TL302", "app.route(\"/home/index\")\n", nil},
		{"a home folder in a docstring", "TL302", "def f():\n    \"\"\"/home/jo/rows.csv\"\"\"\n", nil},

		{"an absolute path that is opened", "TL303", "from pathlib import Path\nPath(\"/data/x\")\n", []string{"train.py:2"}},
		{"a drive", "TL303", "open(\"D:/rows.csv\")\n", []string{"train.py:1"}},
		{"folders that a job has", "TL303", "open(\"/opt/ml/model/x\")\nopen(\"/tmp/x\")\nopen(\"/proc/meminfo\")\n", nil},
		{"a path that is not opened", "TL303", "url = \"/data/x\"\n", nil},

		{"an account in an image's address", "TL304", "image = \"379899735384.dkr.ecr.eu-west-1.amazonaws.com/a\"\n", []string{"train.py:1"}},
		{"the account of documentation", "TL304", "role = \"arn:aws:iam::123456789012:role/x\"\n", nil},
		{"AWS's own registry", "TL304", "image = \"763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training\"\n", nil},
		{"an ARN without an account", "TL304", "arn = \"arn:aws:s3:::fraud-team\"\n", nil},

		{"a bucket of boto3", "TL305", "s3.get_object(Bucket=\"fraud-team\", Key=\"x\")\n", []string{"train.py:1"}},
		{"a bucket by assignment", "TL305", "BUCKET = \"fraud-team\"\n", []string{"train.py:1"}},
		{"a bucket that is put together", "TL305", "url = f\"s3://{bucket}/x\"\n", nil},
		{"a placeholder for a bucket", "TL305", "url = \"s3://my-bucket/x\"\n", nil},

		{"a key of AWS in the environment", "TL307", "import os\nos.environ[\"AWS_SECRET_ACCESS_KEY\"] = \"wJalrXUtnFEMIK7MDENGbPxRfiCYzzzz1234KEYS\"\n", []string{"train.py:2"}},
		{"a password in an address", "TL307", "url = \"postgresql://app:tr0ub4dor-3x@db/shop\"\n", []string{"train.py:1"}},
		{"a password from the environment", "TL307", "url = f\"postgresql://app:{password}@db/shop\"\n", nil},
		{"a token of a tokenizer", "TL307", "tokenizer(token=\"[MASK]\")\n", nil},
		{"a placeholder for a password", "TL307", "connect(password=\"changeme1234\")\n", nil},

		{"a debugger behind a flag", "TL309", "if args.debug:\n    breakpoint()\n", nil},
		{"a debugger under its own name", "TL309", "from ipdb import set_trace\nset_trace()\n", []string{"train.py:2"}},

		{"NaN that is made on the spot", "TL311", "x = value != float(\"nan\")\n", []string{"train.py:1"}},
		{"NaN by identity", "TL311", "import numpy as np\nx = value is np.nan\n", nil},

		{"a removed name behind a question", "TL312", "import numpy as np\nif hasattr(np, \"float\"):\n    x = np.float\n", nil},
		{"a removed module", "TL312", "from sklearn.externals import joblib\n", []string{"train.py:1"}},
		{"a longer name", "TL312", "import numpy as np\nx = np.float32\n", nil},
		{"a removed name of something else", "TL312", "import numpy\nx = other.float\n", nil},

		{"a method called eval", "TL313", "model.eval(x)\n", nil},
		{"eval of a literal", "TL313", "eval(\"1 + 1\")\n", nil},
		{"a shell with a list", "TL313", "import subprocess\nsubprocess.run([\"ls\", path])\n", nil},
		{"a shell with a text that is put together", "TL313", "import subprocess\nsubprocess.run(f\"ls {path}\", shell=True)\n", []string{"train.py:2"}},

		{"a pickle that was put into a name", "TL314", "import pickle, requests\nanswer = requests.get(url)\nmodel = pickle.loads(answer.content)\n", []string{"train.py:3"}},
		{"a pickle from disk", "TL314", "import pickle, requests\nanswer = requests.get(url)\nmodel = pickle.load(open(path, \"rb\"))\n", nil},

		{"a branch of a hub", "TL316", "import torch\ntorch.hub.load(\"org/repo\", \"net\")\n", []string{"train.py:2"}},
		{"a tag of a hub", "TL316", "import torch\ntorch.hub.load(\"org/repo:v1.2\", \"net\")\n", nil},

		{"packages by a shell", "TL317", "import os\nos.system(\"pip install x\")\n", []string{"train.py:2"}},
		{"a pip that installs nothing", "TL317", "import os\nos.system(\"pip list\")\n", nil},

		{"a split in order", "TL319", "from sklearn.model_selection import train_test_split\ntrain_test_split(x, shuffle=False)\n", nil},
		{"a file that seeds", "TL319", "import numpy as np\nfrom sklearn.model_selection import train_test_split\nnp.random.seed(1)\ntrain_test_split(x)\n", nil},
		{"folds in order", "TL319", "from sklearn.model_selection import KFold\nKFold(5)\n", nil},
		{"folds that are shuffled", "TL319", "from sklearn.model_selection import KFold\nKFold(5, shuffle=True)\n", []string{"train.py:2"}},

		{"test rows that a visualizer draws", "TL321", "visualizer.fit_transform(X_test, y_test)\n", nil},
		{"a named scaler before the split", "TL320", "from sklearn.model_selection import train_test_split\nfrom sklearn.decomposition import PCA\npca = PCA(3)\nx = pca.fit_transform(x)\na, b = train_test_split(x)\n", []string{"train.py:4"}},
		{"a scaler after the split", "TL320", "from sklearn.model_selection import train_test_split\nfrom sklearn.decomposition import PCA\npca = PCA(3)\nx, b = train_test_split(x)\nx = pca.fit_transform(x)\n", nil},
		{"a label encoder before the split", "TL320", "from sklearn.model_selection import train_test_split\nfrom sklearn.preprocessing import LabelEncoder\ny = LabelEncoder().fit_transform(y)\ntrain_test_split(x, y)\n", nil},
		{"rows of another function", "TL320", "from sklearn.model_selection import train_test_split\nfrom sklearn.decomposition import PCA\ndef f(x):\n    x = PCA().fit_transform(x)\n    return x\ndef g(x):\n    return train_test_split(x)\n", nil},

		{"a result in place", "TL322", "import pandas as pd\nrows.dropna(inplace=True)\n", nil},
		{"a result that is returned", "TL322", "import pandas as pd\ndef f(rows):\n    return rows.dropna()\n", nil},
		{"a chain whose result is dropped", "TL322", "import pandas as pd\nrows[\"age\"].fillna(0)\n", []string{"train.py:2"}},

		{"a dict in a dict", "TL323", "import pandas as pd\ntable[key][\"name\"] = 1\n", nil},
		{"loc, then a column", "TL323", "import pandas as pd\nrows.loc[keys][\"name\"] = 1\n", []string{"train.py:2"}},

		{"gradients that are set to None", "TL324", "import torch\noptimizer = torch.optim.SGD(p)\nfor b in data:\n    loss.backward()\n    optimizer.step()\n    for q in p:\n        q.grad = None\n", nil},
		{"type=str", "TL326", "parser.add_argument(\"--name\", type=str)\n", nil},

		{"handlers of tensorflow's estimators", "TL407", "def model_fn(features, labels, mode, params):\n    pass\n\n\ndef input_fn():\n    pass\n", nil},
		{"a handler with a context", "TL407", "def predict_fn(data, model, context):\n    return data\n", nil},
		{"a handler with defaults", "TL407", "def predict_fn(data, model, top=1):\n    return data\n", nil},
		{"a handler that takes anything", "TL407", "def predict_fn(*args):\n    return args\n", nil},
		{"a model loaded once", "TL417", "import joblib\ndef predict_fn(data, model):\n    global cache\n    if cache is None:\n        cache = joblib.load(\"m\")\n    return cache\n", nil},
	} {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			got := places(t, rule(t, tt.id), lint.Example{Files: map[string]string{"train.py": tt.code}})
			if !slices.Equal(got, tt.want) {
				t.Errorf("found at %q, want %q in\n%s", got, tt.want, tt.code)
			}
		})
	}
}

func TestRulesForCodeLeaveTestsAlone(t *testing.T) {
	for _, path := range []string{"tests/run.py", "test_run.py", "src/run_test.py", "docs/conf.py", "setup.py"} {
		files := map[string]string{path: "open(\"/home/jo/rows.csv\")\nfrom numpy import *\n"}
		for _, id := range []string{"TL302", "TL308"} {
			if got := places(t, rule(t, id), lint.Example{Files: files}); len(got) > 0 {
				t.Errorf("%s: found at %q in a test", id, got)
			}
		}
	}
}

func TestARemovedNameIsFineWithAnOldVersion(t *testing.T) {
	code := "import numpy as np\nx = np.float\n"
	for requirement, want := range map[string]int{"numpy==1.23.5\n": 0, "numpy<1.24\n": 0, "numpy==2.1.0\n": 1, "numpy\n": 1, "pandas==2.0.0\n": 1} {
		got := places(t, rule(t, "TL312"), lint.Example{Files: map[string]string{"train.py": code, "requirements.txt": requirement}})
		if len(got) != want {
			t.Errorf("with %q: found at %q, want %d findings", requirement, got, want)
		}
	}
}
