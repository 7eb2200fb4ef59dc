package lint

import (
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/lint/python"
)

func fitBeforeSplit() Rule {
	return Rule{
		ID: "TL320", Name: "fit-before-split", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "scalers, imputers, selectors, vectorisers and oversampling of scikit-learn that are fitted on rows which train_test_split parts afterwards",
		Why:    "what is fitted has seen the test rows, so the gate judges too kindly: mozilla/bugbug fitted its transformers before the split (#3818), and so did a SageMaker template of AWS (aws-samples/amazon-sagemaker-secure-mlops#7)",
		Advice: "split first, then fit on the training rows only: best in a Pipeline",
		Bad: Example{Files: map[string]string{"train.py": "from sklearn.model_selection import train_test_split\nfrom sklearn.preprocessing import StandardScaler\n\n\ndef prepare(x, y):\n" +
			"    x = StandardScaler().fit_transform(x)\n    return train_test_split(x, y, random_state=7)\n"}, At: "train.py:6"},
		Good: Example{Files: map[string]string{"train.py": "from sklearn.model_selection import train_test_split\nfrom sklearn.preprocessing import StandardScaler\n\n\ndef prepare(x, y):\n" +
			"    x, test, y, truth = train_test_split(x, y, random_state=7)\n    scaler = StandardScaler()\n    return scaler.fit_transform(x), scaler.transform(test), y, truth\n"}},
		Python: inOwnCode(fitsBeforeSplit),
	}
}

// learners are what learns from all rows it is fitted on.
var learners = map[string]bool{
	"StandardScaler": true, "MinMaxScaler": true, "RobustScaler": true, "MaxAbsScaler": true, "PowerTransformer": true, "QuantileTransformer": true, "KBinsDiscretizer": true,
	"SimpleImputer": true, "KNNImputer": true, "IterativeImputer": true, "PCA": true, "TruncatedSVD": true, "SelectKBest": true, "SelectPercentile": true, "TargetEncoder": true,
	"TfidfVectorizer": true, "SMOTE": true, "ADASYN": true, "RandomOverSampler": true,
}

func fitsBeforeSplit(c code, r *Report) {
	if !c.imports("sklearn", "imblearn") {
		return
	}
	learner := map[scopedName]bool{} // names that hold a learner
	fitted := map[scopedName]python.Call{}
	next := 0
	for _, call := range c.Calls {
		for ; next < len(c.Assigns) && c.Extent(c.Assigns[next].Value).End <= call.Start; next++ {
			c.follow(c.Assigns[next], learner, fitted)
		}
		if last(call.Name) != "train_test_split" {
			continue
		}
		for _, arg := range call.Args {
			name, _ := c.Dotted(arg.Value)
			if fit, ok := fitted[scopedName{call.Scope, name}]; ok && name != "" {
				c.found(r, fit.Start, "this is fitted on all rows, also on those that line %d puts aside for the test", call.Line)
				delete(fitted, scopedName{call.Scope, name})
			}
		}
	}
}

// scopedName is a name in a scope.
type scopedName struct {
	scope int32
	name  string
}

// follow notes what an assignment makes of a name: a learner, rows that went
// through one, or something else.
func (c code) follow(a python.Assign, learner map[scopedName]bool, fitted map[scopedName]python.Call) {
	at := scopedName{a.Scope, a.Name}
	if a.Name == "" {
		return
	}
	call, ok := c.CallOf(a.Value)
	delete(learner, at)
	if !ok {
		if name, dotted := c.Dotted(a.Value); !dotted || name != a.Name {
			delete(fitted, at)
		}
		return
	}
	how := last(call.Name)
	switch {
	case learners[how]:
		learner[at] = true
	case fits(call, how, learner):
		fitted[at] = call
	case how == "DataFrame" || how == "hstack" || how == "concatenate":
		if name, dotted := c.Dotted(call.Pos(0)); dotted {
			if fit, ok := fitted[scopedName{a.Scope, name}]; ok {
				fitted[at] = fit
			}
		}
	default:
		delete(fitted, at)
	}
}

// fits says whether a call fits a learner: one that has a name, or one that is
// made on the spot.
func fits(call python.Call, how string, learner map[scopedName]bool) bool {
	if how != "fit_transform" && how != "fit_resample" {
		return false
	}
	on := strings.TrimSuffix(call.Name, "."+how)
	made := strings.TrimSuffix(on, "()")
	return learner[scopedName{call.Scope, on}] || made != on && learners[last(made)]
}

func fitOnTest() Rule {
	return Rule{
		ID: "TL321", Name: "fit-on-test", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "fit_transform and partial_fit of the test rows: scaler.fit_transform(X_test)",
		Why:    "an example of scikit-learn itself fitted RobustScaler anew on the test set (scikit-learn/scikit-learn#5800), and one of TKAN did with MinMaxScaler (remigenet/TKAN#8): test rows are then measured by another scale",
		Advice: "fit on the training rows and only transform the test rows",
		Bad:    Example{Files: map[string]string{"train.py": "def scale(scaler, X_train, X_test):\n    X_train = scaler.fit_transform(X_train)\n    X_test = scaler.fit_transform(X_test)\n    return X_train, X_test\n"}, At: "train.py:3"},
		Good:   Example{Files: map[string]string{"train.py": "def scale(scaler, X_train, X_test):\n    X_train = scaler.fit_transform(X_train)\n    X_test = scaler.transform(X_test)\n    return X_train, X_test\n"}},
		Python: inOwnCode(func(c code, r *Report) {
			for _, call := range c.Calls {
				how := last(call.Name)
				if name, ok := c.Dotted(call.Pos(0)); ok && testRows(last(name)) && (how == "fit_transform" || how == "partial_fit" || how == "fit_resample") && !draws(call.Name) {
					c.found(r, call.Start, "this fits on %s", name)
				}
			}
		}),
	}
}

// draws says whether what is called is a picture of a fitted model, which is
// fitted on test rows on purpose, as the visualizers of yellowbrick are.
func draws(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "visuali") || strings.Contains(name, "plot")
}

// testRows says whether a name is that of test rows.
func testRows(name string) bool {
	switch strings.ToLower(name) {
	case "x_test", "xtest", "test_x", "test_features", "features_test", "test_data", "x_test_scaled", "test_set", "x_valid", "x_val", "x_validation":
		return true
	}
	return false
}

func droppedResult() Rule {
	return Rule{
		ID: "TL322", Name: "dropped-result", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "pandas methods that answer a new frame, whose answer nobody takes: df.dropna()",
		Why:    "Quantipy filled missing values into a copy and went on with the old ones (Quantipy/quantipy#548), as did the example scripts of numerai (numerai/example-scripts#105)",
		Advice: "assign the result: df = df.dropna()",
		Bad:    Example{Files: map[string]string{"clean.py": "import pandas as pd\n\nrows = pd.read_csv(\"rows.csv\")\nrows.dropna()\n"}, At: "clean.py:4"},
		Good:   Example{Files: map[string]string{"clean.py": "import pandas as pd\n\nrows = pd.read_csv(\"rows.csv\")\nrows = rows.dropna()\n"}},
		Python: inOwnCode(func(c code, r *Report) {
			if !c.imports("pandas") {
				return
			}
			for _, call := range c.Calls {
				if how := last(call.Name); answersFrame(c, call, how) && c.dropped(call) && !c.shown(call) {
					c.found(r, call.Start, "%s answers a new frame and leaves the old one as it was", how)
				}
			}
		}),
	}
}

// shown says whether a call is what a notebook's cell ends with: Jupyter shows
// what it answers.
func (c code) shown(call python.Call) bool {
	places := c.in.load().places
	if len(places) == 0 || c.Stmts[call.Stmt].Parent >= 0 {
		return false
	}
	end, _ := c.Position(c.Extent(call.Expr).End)
	for next := end; next < len(places) && places[next].cell == places[end-1].cell; next++ {
		if text := strings.TrimSpace(c.Line(next + 1)); text != "" && text[0] != '#' {
			return false
		}
	}
	return true
}

// answersFrame says whether a call is a method of a data frame that changes
// nothing, told by names that little else has.
func answersFrame(c code, call python.Call, how string) bool {
	if call.Arg("inplace") != 0 || call.Unpacks() || call.Name == how {
		return false
	}
	switch how {
	case "dropna", "drop_duplicates", "fillna", "reset_index", "set_index", "sort_values", "ffill", "bfill":
		return true
	case "rename", "drop":
		return call.Arg("columns") != 0
	case "astype":
		return c.Kind(call.Pos(0)) == python.ExprDict
	}
	return false
}

func chainedAssignment() Rule {
	return Rule{
		ID: "TL323", Name: "chained-assignment", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "assignments to a part of a part of a data frame: df[df.age > 9][\"group\"] = …, df.loc[rows][\"group\"] = …",
		Why:    "the value goes into a copy: so did the repaired missing values in pandas-dev/pandas#10342 and #32203, and pandas 3 never writes through such a chain",
		Advice: "use one subscript: df.loc[df.age > 9, \"group\"] = …",
		Bad:    Example{Files: map[string]string{"clean.py": "import pandas as pd\n\nrows = pd.read_csv(\"rows.csv\")\nrows[rows.age > 99][\"age\"] = 0\n"}, At: "clean.py:4"},
		Good:   Example{Files: map[string]string{"clean.py": "import pandas as pd\n\nrows = pd.read_csv(\"rows.csv\")\nrows.loc[rows.age > 99, \"age\"] = 0\n"}},
		Python: inOwnCode(func(c code, r *Report) {
			if !c.imports("pandas") {
				return
			}
			for _, a := range c.Assigns {
				if c.Kind(a.Target) != python.ExprSubscript || c.Kind(c.Left(a.Target)) != python.ExprSubscript {
					continue
				}
				inner := c.Left(a.Target)
				_, column := c.literal(c.Right(a.Target))
				located := slices.Contains([]string{"loc", "iloc"}, c.Attr(c.Left(inner)))
				if column && (located && c.Kind(c.Right(inner)) != python.ExprTuple || c.mask(c.Right(inner))) {
					c.foundExpr(r, a.Target, "this writes into a copy, not into the frame")
				}
			}
		}),
	}
}

// mask says whether an expression chooses rows by a comparison.
func (c code) mask(e python.Expr) bool {
	switch c.Kind(e) {
	case python.ExprCompare:
		return slices.Contains([]string{"<", ">", "<=", ">=", "==", "!="}, c.Op(e))
	case python.ExprUnary:
		return c.Op(e) == "~"
	case python.ExprBinary:
		return (c.Op(e) == "&" || c.Op(e) == "|") && c.mask(c.Left(e))
	}
	return false
}
