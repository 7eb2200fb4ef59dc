package lint

import (
	"path"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/lint/python"
)

func undeclaredImport() Rule {
	files := func(requirements string) map[string]string {
		return map[string]string{
			"towline.yaml":     jobManifest("", "    image: {requirements: requirements.txt}\n"),
			"train.py":         "import os\nimport yaml\n\nprint(yaml.safe_dump({}), os.environ[\"SM_MODEL_DIR\"])\n",
			"requirements.txt": requirements,
		}
	}
	return Rule{
		ID: "TL507", Name: "undeclared-import", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "modules that train and serve import and that no requirement brings, as far as its name tells; a minor finding where the requirements are no lock, since another package may bring it",
		Why:    "ModuleNotFoundError: No module named 'ignite' ended a training (aws/sagemaker-pytorch-training-toolkit#189), No module named 'transformers' the first request of an endpoint (aws/sagemaker-python-sdk#868): on the laptop both were there",
		Advice: "add the package to the requirements of the image",
		Bad:    Example{Files: files("numpy==2.4.6\n    # via -r requirements.in\n"), At: "train.py:2"},
		Good:   Example{Files: files("pyyaml==6.0.2\n    # via -r requirements.in\n")},
		Model:  undeclared,
	}
}

func undeclared(m *Model, r *Report) {
	list, file, ok := m.needs()
	if !ok || !plainBase(m.Image.Base) {
		return
	}
	locked := isLock(file)
	seen := map[string]bool{}
	for _, f := range m.runs() {
		c := code{f.Python(), f}
		for _, im := range c.Imports {
			root := python.Root(im.Module)
			if seen[root] || !c.foreign(im) || m.local(f, root) || provided(root, list) {
				continue
			}
			seen[root] = true
			found := c.found(r, im.Start, "nothing in %s brings %s", file.Path, root)
			if !locked || im.InFunction {
				found.Severity = min(found.Severity, Minor)
			}
		}
	}
}

// foreign says whether an import must find a package: it is no module of
// Python's own, and nothing asks before whether it is there. Many packages
// share the name google.
func (c code) foreign(im python.Import) bool {
	root := python.Root(im.Module)
	return im.Level == 0 && root != "google" && !im.InTry && !im.TypeChecking && !c.guarded(im.Stmt) && !standard(root)
}

// runs are the files that train and serve run, with those they import.
func (m *Model) runs() []*File {
	var list []*File
	for _, c := range m.entries() {
		for _, f := range m.closure(c.in) {
			if !slices.Contains(list, f) && !aside(f.Path) {
				list = append(list, f)
			}
		}
	}
	return list
}

// plainBase says whether a base image brings Python and nothing else.
func plainBase(base string) bool {
	name, _, _ := strings.Cut(path.Base(base), "@")
	name, _, _ = strings.Cut(name, ":")
	return slices.Contains([]string{"", ".", "python", "scratch", "debian", "ubuntu", "alpine", "amazonlinux"}, name)
}

// isLock says whether a requirements file was made by a resolver, and so names
// what its packages need, too.
func isLock(f *File) bool {
	text := string(f.Bytes())
	return path.Base(f.Path) == "uv.lock" || strings.Contains(text, "# via") || strings.Contains(text, "--hash=sha256:")
}

// local says whether a module is one of the repository, seen from a file.
func (m *Model) local(from *File, root string) bool {
	folders := append([]string{path.Dir(from.Path), path.Clean(m.Path), ".", "src", path.Join(m.Path, "src")}, m.Shared...)
	for _, folder := range folders {
		if _, ok := m.Repo.File(path.Join(folder, root+".py")); ok || m.Repo.Folder(path.Join(folder, root)) || path.Base(folder) == root {
			return true
		}
	}
	return false
}

// distributions are the packages that bring a module, where their name is
// another than the module's.
var distributions = map[string]string{
	"yaml": "pyyaml", "sklearn": "scikit-learn", "skimage": "scikit-image", "cv2": "opencv-python opencv-python-headless opencv-contrib-python opencv-contrib-python-headless",
	"PIL": "pillow", "bs4": "beautifulsoup4", "dateutil": "python-dateutil", "dotenv": "python-dotenv", "jwt": "pyjwt", "Crypto": "pycryptodome", "OpenSSL": "pyopenssl",
	"attr": "attrs", "grpc": "grpcio", "MySQLdb": "mysqlclient", "psycopg2": "psycopg2 psycopg2-binary", "serial": "pyserial", "usb": "pyusb",
	"tensorflow": "tensorflow tensorflow-cpu tensorflow-gpu tensorflow-macos", "keras": "keras tensorflow", "tensorboard": "tensorboard tensorflow", "torch": "torch",
	"faiss": "faiss-cpu faiss-gpu", "lightning": "lightning pytorch-lightning", "umap": "umap-learn", "imblearn": "imbalanced-learn", "igraph": "python-igraph igraph",
	"pkg_resources": "setuptools", "setuptools": "setuptools", "xgboost": "xgboost xgboost-cpu", "onnxruntime": "onnxruntime onnxruntime-gpu", "ignite": "pytorch-ignite",
	"sentence_transformers": "sentence-transformers", "mpl_toolkits": "matplotlib", "pylab": "matplotlib", "flask_cors": "flask-cors", "multipart": "python-multipart",
	"magic": "python-magic", "docx": "python-docx", "fitz": "pymupdf", "git": "gitpython", "zmq": "pyzmq", "nacl": "pynacl", "ruamel": "ruamel-yaml", "sagemaker_training": "sagemaker-training",
	"hydra": "hydra-core", "Levenshtein": "levenshtein python-levenshtein", "snappy": "python-snappy", "lz4": "lz4", "mlflow": "mlflow mlflow-skinny", "community": "python-louvain",
	"pythonjsonlogger": "python-json-logger", "sqlalchemy": "sqlalchemy", "prometheus_client": "prometheus-client", "jose": "python-jose", "slugify": "python-slugify", "botocore": "botocore boto3",
	"fastai": "fastai", "pyspark": "pyspark", "cudf": "cudf cudf-cu11 cudf-cu12", "cupy": "cupy cupy-cuda11x cupy-cuda12x", "smart_open": "smart-open", "absl": "absl-py", "tree": "dm-tree",
}

// provided says whether one of the requirements brings a module.
func provided(root string, list []need) bool {
	names := strings.Fields(distributions[root])
	plain := strings.ReplaceAll(strings.ToLower(root), "_", "-")
	names = append(names, plain, "py"+plain, "python-"+plain)
	return slices.ContainsFunc(list, func(n need) bool {
		return slices.Contains(names, n.Name) || strings.HasPrefix(n.Name, plain+"-") || strings.HasSuffix(n.Name, "-"+plain)
	})
}

func unusedRequirement() Rule {
	files := func(requirements string) map[string]string {
		return map[string]string{
			"towline.yaml":     jobManifest("", "    image: {requirements: requirements.txt}\n"),
			"train.py":         "import os\nimport numpy\n\nprint(numpy.zeros(3), os.environ[\"SM_MODEL_DIR\"])\n",
			"requirements.txt": requirements,
		}
	}
	return Rule{
		ID: "TL508", Name: "unused-requirement", Severity: Info, In: map[Profile]Severity{Prototype: Off},
		Looks:  "packages that the requirements name and that no code of the model imports, unless the file is a lock",
		Why:    "torch with CUDA, about 6.6 GB, came into images of people who did not need it (openshift/lightspeed-service#2981): every package makes the image larger and the start slower",
		Advice: "remove the line, if nothing loads the package by name",
		Bad:    Example{Files: files("numpy==2.4.6\ntorch==2.9.1\n"), At: "requirements.txt:2"},
		Good:   Example{Files: files("numpy==2.4.6\n")},
		Model: func(m *Model, r *Report) {
			list, file, ok := m.needs()
			if ok && path.Base(file.Path) == "uv.lock" {
				if project, found := m.Repo.File(path.Join(path.Dir(file.Path), "pyproject.toml")); found {
					list, ok = asked(project)
					file = project
				}
			}
			if !ok || isLock(file) {
				return
			}
			roots := map[string]bool{}
			for _, f := range m.PythonFiles() {
				for _, root := range f.traits().imports {
					roots[root] = true
				}
			}
			if len(list) > mostUnlocked || len(roots) > mostUnlocked {
				return
			}
			for _, n := range list {
				if n.URL == "" && !usedOtherwise(n.Name) && !importedBy(n, roots) && !m.runsProgram(n.Name) {
					r.At(n.file, n.line, 1, "no code of this model imports %s", n.Name)
				}
			}
		},
	}
}

// mostUnlocked is how many requirements, and how many imported packages, are
// compared.
const mostUnlocked = 1000

// runsProgram says whether a command of the model names a program.
func (m *Model) runsProgram(name string) bool {
	for _, command := range m.commands() {
		if slices.Contains(command, name) {
			return true
		}
	}
	return false
}

// usedOtherwise says whether a package is used without being imported: as a
// program, or as a part of another.
func usedOtherwise(name string) bool {
	for _, known := range []string{
		"gunicorn", "uvicorn", "gevent", "pyarrow", "fastparquet", "openpyxl", "xlrd", "s3fs", "fsspec", "boto3", "tabulate", "setuptools", "wheel", "pip", "protobuf", "accelerate", "sentencepiece",
		"sagemaker-training", "sagemaker-inference", "tokenizers", "safetensors", "bitsandbytes", "lxml", "numba", "tensorboard", "psycopg2", "pymysql", "cloudpickle", "threadpoolctl", "ninja",
		"python-multipart", "uvloop", "httptools", "einops", "kaleido", "nbformat", "ipykernel", "jupyter", "ruff", "pylint", "black", "mypy", "isort", "flake8", "pre-commit", "graphviz", "pydot", "tzdata", "pytest",
	} {
		if name == known {
			return true
		}
	}
	return strings.HasPrefix(name, "types-") || strings.HasPrefix(name, "pytest-") || strings.HasPrefix(name, "nvidia-") || strings.HasSuffix(name, "-stubs")
}

func importedBy(n need, roots map[string]bool) bool {
	for root := range roots {
		if provided(root, []need{n}) {
			return true
		}
	}
	return false
}
