package release

import (
	"fmt"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// CheckComponents finds the components of one repository that would take each
// other's tags or names.
func CheckComponents(components []Component) error {
	var problems []string
	names := map[string]string{}
	for _, a := range components {
		if !validPrefix(a.Prefix) {
			problems = append(problems, fmt.Sprintf("%s: no tag can start with %q", a.Name, a.Prefix))
		}
		for _, b := range components {
			if a.Name != b.Name && overlaps(a.Prefix, b.Prefix) {
				problems = append(problems, fmt.Sprintf("tags of %s start with %q, which those of %s (%q) may start with too",
					b.Name, b.Prefix, a.Name, a.Prefix))
			}
		}
		mapped := SageMakerName(a.Name)
		if other, taken := names[mapped]; taken {
			problems = append(problems, fmt.Sprintf("%s and %s are both %q in SageMaker", other, a.Name, mapped))
		}
		names[mapped] = a.Name
	}
	if len(problems) == 0 {
		return nil
	}
	return fault.Newf(fault.Repository, "components of the repository: their tags or names are not distinct").
		With(problems...).Hintf("rename one of the components, or change its tag prefix")
}

// overlaps says whether b's tags could be taken for tags of a.
func overlaps(a, b string) bool {
	rest, ok := strings.CutPrefix(b, a)
	return ok && (rest == "" || rest[0] >= '0' && rest[0] <= '9')
}

// CheckTags finds the tags that stand in the way of the component's: git keeps
// no tag "name" beside a tag "name/v1.0.0".
func CheckTags(c Component, tags []Tag) error {
	for _, tag := range tags {
		if strings.HasPrefix(c.Prefix, tag.Name+"/") {
			return fault.Newf(fault.Repository, "tags of %s: tag %q exists, so that there can be none below %s/", c.Name, tag.Name, tag.Name).
				Hintf("delete or rename the tag %s, or change the component's tag prefix", tag.Name)
		}
	}
	return nil
}

// validPrefix says whether tags can start with the prefix, by the rules of git check-ref-format.
func validPrefix(prefix string) bool {
	if strings.ContainsAny(prefix, " ~^:?*[\\\x7f") || strings.ContainsFunc(prefix, func(r rune) bool { return r < ' ' }) {
		return false
	}
	for _, wrong := range []string{"..", "//", "@{", "/.", ".lock/"} {
		if strings.Contains(prefix, wrong) {
			return false
		}
	}
	return !strings.HasPrefix(prefix, "/") && !strings.HasPrefix(prefix, ".") && !strings.HasPrefix(prefix, "-")
}
