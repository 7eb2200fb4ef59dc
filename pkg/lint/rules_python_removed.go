package lint

import (
	"strings"

	"gitlab.com/towline/towline/pkg/lint/python"
)

func removedAPI() Rule {
	return Rule{
		ID: "TL312", Name: "removed-api", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "names that current numpy, scikit-learn, scipy, pandas and tensorflow have removed, unless the requirements hold an older version",
		Why:    "np.float went with numpy 1.24, and what trained the day before failed with AttributeError: ktrain (amaiya/ktrain#474), CLIP's example (openai/CLIP#315), pymusepipe (emsellem/pymusepipe#10)",
		Advice: "use what the message names, or hold the older version in the requirements",
		Bad:    Example{Files: map[string]string{"train.py": "import numpy as np\n\nweights = np.zeros(3, dtype=np.float)\n"}, At: "train.py:3"},
		Good:   Example{Files: map[string]string{"train.py": "import numpy as np\n\nweights = np.zeros(3, dtype=np.float64)\n"}},
		Python: inOwnCode(removedNames),
	}
}

// removal is a name that a version of a package has no longer.
type removal struct{ dist, version, instead string }

var removals = map[string]removal{
	"numpy.float": {"numpy", "1.24", "float"}, "numpy.int": {"numpy", "1.24", "int"}, "numpy.object": {"numpy", "1.24", "object"},
	"numpy.str": {"numpy", "1.24", "str"}, "numpy.complex": {"numpy", "1.24", "complex"}, "numpy.float_": {"numpy", "2.0", "numpy.float64"},
	"numpy.NaN": {"numpy", "2.0", "numpy.nan"}, "numpy.Inf": {"numpy", "2.0", "numpy.inf"}, "numpy.infty": {"numpy", "2.0", "numpy.inf"},
	"numpy.product": {"numpy", "2.0", "numpy.prod"}, "numpy.cumproduct": {"numpy", "2.0", "numpy.cumprod"}, "numpy.asscalar": {"numpy", "1.23", "array.item()"},
	"numpy.string_": {"numpy", "2.0", "numpy.bytes_"}, "numpy.unicode_": {"numpy", "2.0", "numpy.str_"}, "numpy.complex_": {"numpy", "2.0", "numpy.complex128"},

	"sklearn.externals.joblib": {"scikit-learn", "0.23", "joblib"}, "sklearn.externals.six": {"scikit-learn", "0.23", "six"},
	"sklearn.cross_validation": {"scikit-learn", "0.20", "sklearn.model_selection"}, "sklearn.grid_search": {"scikit-learn", "0.20", "sklearn.model_selection"},
	"sklearn.datasets.load_boston": {"scikit-learn", "1.2", "sklearn.datasets.fetch_california_housing"}, "sklearn.preprocessing.Imputer": {"scikit-learn", "0.22", "sklearn.impute.SimpleImputer"},
	"sklearn.metrics.plot_confusion_matrix": {"scikit-learn", "1.2", "sklearn.metrics.ConfusionMatrixDisplay"}, "sklearn.metrics.plot_roc_curve": {"scikit-learn", "1.2", "sklearn.metrics.RocCurveDisplay"},
	"scipy.misc.imread": {"scipy", "1.2", "imageio.imread"}, "scipy.misc.imresize": {"scipy", "1.3", "PIL.Image.resize"}, "scipy.misc.imsave": {"scipy", "1.2", "imageio.imwrite"},
	"scipy.integrate.simps": {"scipy", "1.14", "scipy.integrate.simpson"}, "scipy.integrate.cumtrapz": {"scipy", "1.14", "scipy.integrate.cumulative_trapezoid"},
	"pandas.Panel": {"pandas", "1.0", "a DataFrame with a MultiIndex"}, "pandas.util.testing": {"pandas", "2.0", "pandas.testing"}, "pandas.Int64Index": {"pandas", "2.0", "pandas.Index"},
	"pandas.datetime": {"pandas", "2.0", "datetime.datetime"}, "tensorflow.contrib": {"tensorflow", "2.0", "tf_slim or Keras"}, "tensorflow.placeholder": {"tensorflow", "2.0", "a tf.function"},
	"torch._six": {"torch", "1.13", "str and collections.abc"}, "torch.rfft": {"torch", "1.8", "torch.fft.rfft"},
}

func removedNames(c code, r *Report) {
	if !c.imports("numpy", "sklearn", "scipy", "pandas", "tensorflow", "torch") {
		return
	}
	seen := map[string]bool{}
	report := func(name string, stmt int32, start uint32) {
		gone, ok := removals[name]
		if !ok || seen[name] || c.guarded(stmt) {
			return
		}
		seen[name] = true
		if c.in.heldBelow(gone.dist, gone.version) {
			return
		}
		f := c.found(r, start, "%s is gone since %s %s: use %s", name, gone.dist, gone.version, gone.instead)
		if _, known := c.in.declared(gone.dist); !known {
			f.Severity = min(f.Severity, Minor) // the image may bring an old one
		}
	}
	for _, i := range c.Imports {
		target := i.Target()
		for name := target; name != ""; name = name[:max(0, strings.LastIndexByte(name, '.'))] {
			report(name, i.Stmt, i.Start)
		}
	}
	for e := range c.All(python.ExprAttribute) {
		if removedLast[c.Attr(e)] {
			report(c.Name(e), c.StmtOf(e), c.Extent(e).Start)
		}
	}
}

// removedLast are the last parts of removed names, to tell quickly.
var removedLast = lastParts()

func lastParts() map[string]bool {
	parts := map[string]bool{}
	for name := range removals {
		parts[last(name)] = true
	}
	return parts
}
