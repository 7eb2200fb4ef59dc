package evidence

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// spdxOf are the identifiers of the licences that classifiers and the old
// free-text field name most often. A classifier that leaves the version open,
// such as "BSD License", has none.
var spdxOf = map[string]string{
	"apache software license":               "",
	"apache license 2.0":                    "Apache-2.0",
	"apache license, version 2.0":           "Apache-2.0",
	"apache-2.0":                            "Apache-2.0",
	"apache 2.0":                            "Apache-2.0",
	"mit license":                           "MIT",
	"mit":                                   "MIT",
	"bsd-3-clause":                          "BSD-3-Clause",
	"bsd 3-clause":                          "BSD-3-Clause",
	"new bsd":                               "BSD-3-Clause",
	"bsd-2-clause":                          "BSD-2-Clause",
	"isc license (iscl)":                    "ISC",
	"isc":                                   "ISC",
	"mozilla public license 2.0 (mpl 2.0)":  "MPL-2.0",
	"mpl-2.0":                               "MPL-2.0",
	"python software foundation license":    "PSF-2.0",
	"psf-2.0":                               "PSF-2.0",
	"the unlicense (unlicense)":             "Unlicense",
	"zlib/libpng license":                   "Zlib",
	"boost software license 1.0 (bsl-1.0)":  "BSL-1.0",
	"gnu general public license v2 (gplv2)": "GPL-2.0-only",
	"gnu general public license v3 (gplv3)": "GPL-3.0-only",
	"gnu lesser general public license v3 (lgplv3)":   "LGPL-3.0-only",
	"gnu affero general public license v3":            "AGPL-3.0-only",
	"gnu general public license v3 or later (gplv3+)": "GPL-3.0-or-later",
	"gnu general public license v2 or later (gplv2+)": "GPL-2.0-or-later",
}

// expressionShape is what an SPDX licence expression is made of.
var expressionShape = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9.+()-]+( [A-Za-z0-9.+()-]+)*$`) })

// maxName is how long a licence's name may be; beyond it stands its text.
const maxName = 100

// licences are what a distribution says of its terms, from the most exact
// statement to the least: an SPDX expression, one name that stands for an
// identifier, the classifiers, the free text if it is short enough for a name.
func licences(expression, free string, classified []string) (list []string, spdx bool) {
	if expression != "" && expressionShape().MatchString(expression) {
		return []string{expression}, true
	}
	if id := spdxOf[strings.ToLower(free)]; id != "" {
		return []string{id}, true
	}
	var names []string
	for _, classifier := range classified {
		_, name, found := cutLast(classifier, " :: ")
		if !found && classifier == "OSI Approved" {
			continue
		}
		names = append(names, name)
	}
	if len(names) == 1 && spdxOf[strings.ToLower(names[0])] != "" {
		return []string{spdxOf[strings.ToLower(names[0])]}, true
	}
	if len(names) == 0 && free != "" && len(free) <= maxName && !strings.EqualFold(free, "unknown") {
		names = []string{free}
	}
	slices.Sort(names)
	return slices.Compact(names), false
}

// cutLast cuts at the last separator; without one, after is the whole text.
func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return "", text, false
	}
	return text[:i], text[i+len(separator):], true
}
