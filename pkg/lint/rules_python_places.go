package lint

import (
	"strings"

	"gitlab.com/towline/towline/pkg/lint/python"
)

func homePath() Rule {
	return Rule{
		ID: "TL302", Name: "home-path", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "paths into somebody's home folder: /home/NAME/…, /Users/NAME/…, C:\\Users\\NAME\\…",
		Why:    "models of ersilia-os/zaira-chem ran only for the user who had trained them (#5), and neu-vi/HOI-Diff trained only where its author's home folder was (#6)",
		Advice: "take the path from an option or from SM_CHANNEL_NAME and SM_MODEL_DIR",
		Bad:    Example{Files: map[string]string{"train.py": "import pandas\n\nrows = pandas.read_csv(\"/home/me/data/rows.csv\")\n"}, At: "train.py:3"},
		Good:   Example{Files: map[string]string{"train.py": "import os\nimport pandas\n\nrows = pandas.read_csv(os.environ[\"SM_CHANNEL_TRAIN\"] + \"/rows.csv\")\n"}},
		Python: inOwnCode(func(c code, r *Report) {
			for _, s := range c.Strings {
				if !s.Doc {
					if home, ok := homeOf(c.Raw(s)); ok {
						c.found(r, s.Start, "%s exists on one machine only", home)
					}
				}
			}
		}),
	}
}

// shared are home folders that images have.
var sharedHomes = map[string]bool{"airflow": true, "app": true, "jovyan": true, "user": true, "docker": true, "sagemaker-user": true, "model-server": true, "runner": true}

// homeOf is the home folder that a path leads into.
func homeOf(path string) (string, bool) {
	path = strings.TrimPrefix(path, "file://")
	if len(path) < 8 || strings.ContainsAny(path, "\n()[]*^$|") {
		return "", false
	}
	for _, prefix := range []string{"/home/", "/Users/", `C:\\Users\\`, `C:\Users\`, "C:/Users/"} {
		rest, ok := strings.CutPrefix(path, prefix)
		if !ok {
			continue
		}
		end := strings.IndexAny(rest, `/\`)
		if end <= 0 || sharedHomes[rest[:end]] || strings.ContainsAny(rest[:end], "<>. ") || prefix == "/Users/" && rest[:end] == "Shared" {
			return "", false
		}
		return prefix + rest[:end], true
	}
	return "", false
}

func absolutePath() Rule {
	return Rule{
		ID: "TL303", Name: "absolute-path", Severity: Minor, In: map[Profile]Severity{Prototype: Info},
		Looks:  "files that are opened by an absolute path, other than under /opt/ml, /tmp and the system's folders",
		Why:    "linfeng93/BiTA could be trained only below /huawei-data (#4), and meowcat only with a folder /project of one cluster (liranmao/MeowCat#1)",
		Advice: "name the data as a channel of the training and read SM_CHANNEL_NAME, or take the path from an option",
		Bad:    Example{Files: map[string]string{"train.py": "import pandas as pd\n\nrows = pd.read_csv(\"/data/rows.csv\")\n"}, At: "train.py:3"},
		Good:   Example{Files: map[string]string{"train.py": "import pandas as pd\n\nrows = pd.read_csv(\"data/rows.csv\")\n"}},
		Python: inOwnCode(func(c code, r *Report) {
			for _, call := range c.Calls {
				if !opens(call.Name) {
					continue
				}
				path, ok := c.literal(call.Pos(0))
				if call.Name == "pathlib.Path" && c.asksOnly(call) {
					continue
				}
				if _, home := homeOf(path); ok && !home && absolute(path) {
					c.foundExpr(r, call.Pos(0), "%s is there only if the image brings it", path)
				}
			}
		}),
	}
}

// asksOnly says whether all that becomes of a path is a question whether it is there.
func (c code) asksOnly(call python.Call) bool {
	behind := c.Text[c.Extent(call.Expr).End:]
	for _, question := range []string{".exists()", ".is_dir()", ".is_file()"} {
		if strings.HasPrefix(behind, question) {
			return true
		}
	}
	return false
}

var openers = map[string]bool{
	"open": true, "io.open": true, "pathlib.Path": true, "os.listdir": true, "os.chdir": true, "os.makedirs": true, "os.scandir": true, "os.walk": true, "glob.glob": true,
	"numpy.load": true, "numpy.loadtxt": true, "numpy.genfromtxt": true, "numpy.save": true, "numpy.savetxt": true, "joblib.load": true, "joblib.dump": true,
	"torch.load": true, "cv2.imread": true, "PIL.Image.open": true, "sys.path.append": true, "sys.path.insert": true, "tensorflow.keras.models.load_model": true,
	"datasets.load_from_disk": true, "xgboost.DMatrix": true, "shutil.copy": true, "shutil.copytree": true, "shutil.rmtree": true, "polars.read_csv": true, "polars.read_parquet": true,
}

func opens(call string) bool {
	return openers[call] || strings.HasPrefix(call, "pandas.read_")
}

// given are folders that every image has, or that a job is given.
var given = []string{"/opt/ml", "/opt/program", "/tmp", "/dev", "/proc", "/sys", "/etc", "/usr", "/var", "/bin", "/lib", "/run"}

func absolute(path string) bool {
	if len(path) > 3 && path[1] == ':' && (path[2] == '\\' || path[2] == '/') {
		return true
	}
	if len(path) < 3 || path[0] != '/' || path[1] == '/' {
		return false
	}
	for _, folder := range given {
		if path == folder || strings.HasPrefix(path, folder+"/") {
			return false
		}
	}
	return !strings.ContainsAny(path, "\n*?{")
}

func awsAccount() Rule {
	return Rule{
		ID: "TL304", Name: "aws-account", Severity: Minor, In: map[Profile]Severity{Prototype: Info},
		Looks:  "ARNs and image addresses with the number of an AWS account in code",
		Why:    "examples of the SageMaker SDK carried arn:aws:iam::379899735384:role/… in tests, which failed for everybody else: SageMaker was unable to assume the role (aws/sagemaker-python-sdk#35)",
		Advice: "keep roles, registries and keys in towline.yaml, one per environment",
		Bad:    Example{Files: map[string]string{"start.py": "ROLE = \"arn:aws:iam::379899735384:role/SageMakerRole\"\n"}, At: "start.py:1"},
		Good:   Example{Files: map[string]string{"start.py": "import os\n\nROLE = os.environ[\"ROLE_ARN\"]\n"}},
		Python: inOwnCode(func(c code, r *Report) {
			for _, s := range c.Strings {
				if number, ok := accountIn(c.Raw(s)); ok && !s.Doc {
					c.found(r, s.Start, "AWS account %s is written into the code", number)
				}
			}
		}),
	}
}

// nobodys are account numbers of documentation, of emulators and of AWS's own image registries.
var nobodys = map[string]bool{
	"000000000000": true, "012345678901": true, "111122223333": true, "123456789012": true, "444455556666": true, "555555555555": true,
	"763104351884": true, "683313688378": true, "246618743249": true, "257758044811": true, "520713654638": true, "811284229777": true, "433757028032": true, "156813124566": true,
}

func accountIn(text string) (string, bool) {
	var number string
	if at := strings.Index(text, "arn:aws"); at >= 0 {
		if fields := strings.SplitN(text[at:], ":", 6); len(fields) == 6 {
			number = fields[4]
		}
	} else if at := strings.Index(text, ".dkr.ecr."); at >= 12 {
		number = text[at-12 : at]
	}
	if len(number) != 12 || strings.Trim(number, "0123456789") != "" || nobodys[number] || strings.Trim(number, number[:1]) == "" {
		return "", false
	}
	return number, true
}

func bucketName() Rule {
	return Rule{
		ID: "TL305", Name: "bucket-name", Severity: Minor, In: map[Profile]Severity{Prototype: Info},
		Looks:  "names of S3 buckets in code: s3://NAME/…, Bucket=\"NAME\", bucket = \"NAME\"",
		Why:    "benthecoder/ClassGPT named one bucket in several files, and everybody else got AccessDenied (#2); a SageMaker notebook broke when its bucket was closed (aws/amazon-sagemaker-examples#2116)",
		Advice: "name the data as a channel in towline.yaml; the bucket of an environment stands there too",
		Bad:    Example{Files: map[string]string{"train.py": "import pandas\n\nrows = pandas.read_csv(\"s3://fraud-team/rows.csv\")\n"}, At: "train.py:3"},
		Good:   Example{Files: map[string]string{"train.py": "import os\nimport pandas\n\nrows = pandas.read_csv(os.environ[\"SM_CHANNEL_TRAIN\"] + \"/rows.csv\")\n"}},
		Python: inOwnCode(bucketNames),
	}
}

func bucketNames(c code, r *Report) {
	for _, s := range c.Strings {
		text := c.Raw(s)
		if _, rest, ok := strings.Cut(text, "://"); ok && !s.Doc && strings.HasPrefix(text, "s3") {
			if name, _, _ := strings.Cut(rest, "/"); isBucket(name) {
				c.found(r, s.Start, "the bucket %s is written into the code", name)
			}
		}
	}
	for _, call := range c.Calls {
		if name, ok := c.literal(call.Arg("Bucket")); ok && isBucket(name) {
			c.foundExpr(r, call.Arg("Bucket"), "the bucket %s is written into the code", name)
		}
	}
	for _, assign := range c.Assigns {
		switch strings.ToLower(last(assign.Name)) {
		case "bucket", "bucket_name", "s3_bucket", "s3_bucket_name":
			if name, ok := c.literal(assign.Value); ok && isBucket(name) {
				c.foundExpr(r, assign.Value, "the bucket %s is written into the code", name)
			}
		}
	}
}

// isBucket says whether a text can be the name of somebody's bucket: lower
// case, and no placeholder or public data set.
func isBucket(name string) bool {
	if len(name) < 3 || len(name) > 63 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
		return false
	}
	for _, word := range []string{"example", "bucket", "your", "sample", "placeholder", "sagemaker-", "test", "commoncrawl", "open-data", "public", "jumpstart", "noaa-", "path", "my-", "some-"} {
		if strings.Contains(name, word) {
			return false
		}
	}
	return true
}

func literalCredentials() Rule {
	return Rule{
		ID: "TL307", Name: "literal-credentials", Severity: Critical,
		Looks:  "keys, passwords and tokens that are given as plain text: aws_secret_access_key=\"…\", password=\"…\", scheme://user:password@host",
		Why:    "a scan found an access key of AWS in the S3 adaptor of saga-project/BigJob (#182): keys in a repository are in every clone, and are used within minutes",
		Advice: "revoke it, then read it from the environment or from AWS Secrets Manager; in jobs the role is enough for AWS",
		Bad:    Example{Files: map[string]string{"train.py": "import psycopg2\n\nrows = psycopg2.connect(host=\"db.internal\", password=\"tr0ub4dor-3x\")\n"}, At: "train.py:3"},
		Good:   Example{Files: map[string]string{"train.py": "import os\nimport psycopg2\n\nrows = psycopg2.connect(host=\"db.internal\", password=os.environ[\"DB_PASSWORD\"])\n"}},
		Python: inOwnCode(credentials),
	}
}

func credentials(c code, r *Report) {
	look := func(name string, value python.Expr) {
		if text, ok := c.literal(value); ok && namesSecret(name) && secretText(name, text) {
			c.foundExpr(r, value, "%s is written into the code", name)
		}
	}
	for _, call := range c.Calls {
		for _, arg := range call.Args {
			if arg.Name != "" {
				look(arg.Name, arg.Value)
			}
		}
	}
	for _, assign := range c.Assigns {
		name := last(assign.Name)
		if c.Kind(assign.Target) == python.ExprSubscript { // os.environ["AWS_SECRET_ACCESS_KEY"] = …
			name, _ = c.literal(c.Right(assign.Target))
		}
		look(name, assign.Value)
	}
	for _, s := range c.Strings {
		if password, ok := passwordIn(c.Raw(s)); ok && !s.Doc && secretText("password", password) {
			c.found(r, s.Start, "a password is written into this address")
		}
	}
	for _, f := range r.findings {
		f.hidden = f.hidden || f.Rule == r.rule.ID
	}
}

var secretNames = map[string]bool{
	"aws_access_key_id": true, "aws_secret_access_key": true, "aws_session_token": true, "password": true, "passwd": true, "db_password": true, "api_key": true, "apikey": true,
	"secret_key": true, "access_token": true, "auth_token": true, "token": true, "hf_token": true, "wandb_api_key": true, "openai_api_key": true, "client_secret": true,
}

func namesSecret(name string) bool { return len(name) < 40 && secretNames[strings.ToLower(name)] }

// secretText says whether a text looks like a secret and not like a
// placeholder: letters and digits, no blanks, long enough for its name.
func secretText(name, text string) bool {
	least := 8
	if strings.Contains(strings.ToLower(name), "token") || strings.Contains(strings.ToLower(name), "key") {
		least = 16
	}
	if len(text) < least || len(text) > 400 || strings.ContainsAny(text, " \n<>{}$%*[]()/|") && !strings.HasPrefix(strings.ToLower(name), "aws_") {
		return false
	}
	lower := strings.ToLower(text)
	for _, word := range []string{"example", "your", "placeholder", "changeme", "change-me", "xxxx", "dummy", "test", "fake", "minioadmin", "password", "secret", "123456", "...", "none"} {
		if strings.Contains(lower, word) {
			return false
		}
	}
	return strings.ContainsAny(text, "0123456789") && strings.ContainsAny(lower, "abcdefghijklmnopqrstuvwxyz")
}

// passwordIn is the password of an address: scheme://user:password@host.
func passwordIn(text string) (string, bool) {
	_, rest, ok := strings.Cut(text, "://")
	if !ok {
		return "", false
	}
	user, _, ok := strings.Cut(rest, "@")
	if !ok || strings.ContainsAny(user, "/ \n?") {
		return "", false
	}
	_, password, ok := strings.Cut(user, ":")
	return password, ok
}
