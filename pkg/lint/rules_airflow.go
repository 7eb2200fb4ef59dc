package lint

import (
	"strings"

	"gitlab.com/towline/towline/pkg/lint/python"
)

// airflowRules are about files that define DAGs of Airflow: family 7, from 51 on.
func airflowRules() []Rule {
	const dag = "from airflow import DAG\n"
	return []Rule{{
		ID: "TL751", Name: "work-at-import", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "calls of networks, databases and AWS at the top of DAG files: Variable.get, boto3.client, requests.get",
		Why:    "the scheduler imports every DAG file again and again, every 30 seconds as it comes: each such call is made each time, and one that hangs takes the DAG off the list (Airflow docs, Best Practices, Top level Python Code)",
		Advice: "move the call into a task, or use a template: {{ var.value.name }}",
		Bad:    Example{Files: map[string]string{"dags/train.py": dag + "from airflow.models import Variable\n\nbucket = Variable.get(\"bucket\")\nwith DAG(\"train\"):\n    pass\n"}, At: "dags/train.py:4"},
		Good:   Example{Files: map[string]string{"dags/train.py": dag + "from airflow.models import Variable\n\n\ndef bucket():\n    return Variable.get(\"bucket\")\n\n\nwith DAG(\"train\"):\n    pass\n"}},
		Python: inDAG(workAtImport),
	}, {
		ID: "TL752", Name: "no-retries", Severity: Minor,
		Looks:  "DAG files that speak neither of retries nor of any timeout",
		Why:    "Airflow's defaults are no retry and no timeout: a throttled call to SageMaker fails the night's run, and a sensor that hangs holds its worker for a week (apache/airflow, BaseOperator and BaseSensorOperator)",
		Advice: "give default_args retries and execution_timeout",
		Bad:    Example{Files: map[string]string{"dags/train.py": dag + "\nwith DAG(\"train\"):\n    pass\n"}, At: "dags/train.py:3"},
		Good:   Example{Files: map[string]string{"dags/train.py": dag + "from datetime import timedelta\n\nwith DAG(\"train\", default_args={\"retries\": 2, \"execution_timeout\": timedelta(hours=3)}):\n    pass\n"}},
		Python: inDAG(noRetries),
	}, {
		ID: "TL753", Name: "moving-start-date", Severity: Major,
		Looks:  "start_date that is computed from now",
		Why:    "the first run comes one interval after start_date, which never arrives when it moves along: Airflow's FAQ recommends against it, and days_ago is gone in Airflow 3",
		Advice: "write a fixed date: start_date=datetime(2024, 1, 1)",
		Bad:    Example{Files: map[string]string{"dags/train.py": dag + "from datetime import datetime\n\nwith DAG(\"train\", start_date=datetime.now()):\n    pass\n"}, At: "dags/train.py:4"},
		Good:   Example{Files: map[string]string{"dags/train.py": dag + "from datetime import datetime\n\nwith DAG(\"train\", start_date=datetime(2024, 1, 1)):\n    pass\n"}},
		Python: inDAG(movingStart),
	}, {
		ID: "TL754", Name: "same-dag-id", Severity: Critical,
		Looks:  "two files that define a DAG of one name",
		Why:    "Airflow keeps the one that it read last, and the other one is missing from the list (Airflow docs, DAGs: a dag_id is unique)",
		Advice: "give each DAG a name of its own",
		Bad: Example{Files: map[string]string{
			"dags/a.py": dag + "\nwith DAG(\"train\"):\n    pass\n", "dags/b.py": dag + "\nwith DAG(dag_id=\"train\"):\n    pass\n",
		}, At: "dags/b.py:3"},
		Good: Example{Files: map[string]string{
			"dags/a.py": dag + "\nwith DAG(\"train\"):\n    pass\n", "dags/b.py": dag + "\nwith DAG(dag_id=\"deploy\"):\n    pass\n",
		}},
		Repo: sameDAGs,
	}}
}

// inDAG makes a rule's hook of what looks at files that define DAGs.
func inDAG(look func(code, *Report)) func(*File, *python.File, *Report) {
	return func(f *File, p *python.File, r *Report) {
		c := code{p, f}
		if !isTest(f.Path) && c.imports("airflow") && len(c.dags()) > 0 {
			look(c, r)
		}
	}
}

// dags are the calls that make a DAG.
func (c code) dags() []python.Call {
	var list []python.Call
	for _, call := range c.Calls {
		if strings.HasPrefix(call.Name, "airflow.") && (last(call.Name) == "DAG" || strings.HasSuffix(call.Name, ".dag")) {
			list = append(list, call)
		}
	}
	return list
}

// slowCalls are calls that wait for something else, by name; those that end
// with a dot stand for what begins so.
var slowCalls = []string{
	"airflow.models.Variable.get", "airflow.models.variable.Variable.get", "airflow.sdk.Variable.get",
	"airflow.hooks.base.BaseHook.get_connection", "airflow.hooks.base_hook.BaseHook.get_connection", "airflow.models.Connection.get_connection_from_secrets",
	"boto3.", "sagemaker.Session", "sagemaker.get_execution_role", "requests.", "httpx.", "urllib.request.urlopen", "psycopg2.connect", "pymysql.connect", "snowflake.connector.connect",
	"sqlalchemy.create_engine().", "mlflow.", "pandas.read_sql", "redis.", "google.cloud.",
}

func workAtImport(c code, r *Report) {
	guard := c.MainGuard()
	for _, call := range c.Calls {
		if c.Scopes[call.Scope].Kind == python.FunctionScope || call.Name == "" || guard >= 0 && c.Inside(call.Stmt, guard) || c.inLambda(call) {
			continue
		}
		for _, slow := range slowCalls {
			if call.Name == slow || strings.HasSuffix(slow, ".") && strings.HasPrefix(call.Name, slow) && !harmless(call.Name) {
				c.found(r, call.Start, "%s is called whenever Airflow reads this file", call.Name)
				break
			}
		}
	}
}

// harmless are calls of such packages that wait for nothing.
func harmless(name string) bool {
	tail := last(name)
	return strings.HasPrefix(name, "boto3.") && tail != "client" && tail != "resource" && tail != "Session" && !strings.Contains(name, "()") ||
		strings.HasPrefix(name, "boto3.session.Config") || tail == "Retry" || tail == "HTTPAdapter" || tail == "HTTPBasicAuth" || tail == "Timeout"
}

// inLambda says whether a call stands in a lambda, which is called later.
func (c code) inLambda(call python.Call) bool {
	for e := range c.All(python.ExprLambda) {
		if c.StmtOf(e) == call.Stmt {
			outer, inner := c.Extent(e), c.Extent(call.Expr)
			if inner.Start >= outer.Start && inner.End <= outer.End {
				return true
			}
		}
	}
	return false
}

func noRetries(c code, r *Report) {
	text := []byte(c.Text)
	for _, word := range []string{"retries", "execution_timeout", "dagrun_timeout", "default_args"} {
		if containsWord(text, word) && (word != "default_args" || !strings.Contains(c.Text, "default_args = {") && !strings.Contains(c.Text, "default_args={")) {
			return
		}
	}
	call := c.dags()[0]
	c.found(r, call.Start, "no task of this DAG is tried again, or ends by itself: there is neither retries nor a timeout")
}

func movingStart(c code, r *Report) {
	report := func(value python.Expr) {
		if c.Kind(value) == python.ExprCall && last(c.Name(c.Left(value))) == "Param" {
			return // what a user may give, not when the DAG starts
		}
		for _, call := range c.callsIn(value) {
			if tail := last(call.Name); tail == "now" || tail == "utcnow" || tail == "today" || tail == "days_ago" {
				c.found(r, call.Start, "start_date moves along with now: %s", clip(c.Source(value), 0))
				return
			}
		}
	}
	for _, call := range c.Calls {
		if value := call.Arg("start_date"); value != 0 {
			report(value)
		}
	}
	for e := range c.All(python.ExprDict) {
		for _, pair := range c.Pairs(e) {
			if name, ok := c.literal(pair.Key); ok && name == "start_date" && pair.Value != 0 {
				report(pair.Value)
			}
		}
	}
}

// importsWithin is where a file imports Airflow if it does, in bytes.
const importsWithin = 8192

func sameDAGs(repo *Repo, r *Report) {
	type place struct {
		file *File
		line int
	}
	first := map[string]place{}
	for _, f := range repo.files {
		if f.Kind != Python || isTest(f.Path) || !containsWord(f.Head(importsWithin), "airflow") {
			continue
		}
		c := code{f.Python(), f}
		for _, call := range c.dags() {
			id := call.Pos(0)
			if named := call.Arg("dag_id"); named != 0 {
				id = named
			}
			name, ok := c.literal(id)
			if !ok || strings.HasSuffix(call.Name, ".dag") && call.Arg("dag_id") == 0 {
				continue
			}
			line, _ := c.Position(call.Start)
			if other, twice := first[name]; twice {
				c.found(r, call.Start, "the DAG %s is defined in %s:%d already", name, other.file.Path, other.line)
				continue
			}
			first[name] = place{f, line}
		}
	}
}
