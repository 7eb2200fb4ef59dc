package lint

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// manifestImageRules are about the image that the manifest describes.
func manifestImageRules() []Rule {
	return []Rule{{
		ID: "TL205", Name: "floating-base", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "image.base with the tag latest, or with none",
		Why:    "the MLOps templates of aws-samples/sagemaker-custom-project-templates run on python:latest, which became another Python with every October",
		Advice: "name a version, such as python:3.11-slim, or a digest",
		Bad:    Example{Files: exampleWith("python:3.11-slim", "python"), At: "towline.yaml:5"},
		Good:   Example{Files: map[string]string{"towline.yaml": exampleManifest}},
		Model: func(m *Model, r *Report) {
			if why := floating(m.Image.Base); why != "" {
				r.Manifest(m.Position("image.base"), "the base %s %s", m.Image.Base, why)
			}
		},
	}, {
		ID: "TL206", Name: "unpinned-base", Severity: Off, In: map[Profile]Severity{Production: Minor},
		Looks:  "image.base without a digest, in production",
		Why:    "official images are built anew under the same tag whenever Debian or Python has a patch (docker-library/official-images), so a second build of the same commit is another image",
		Advice: "add the digest that was tested: python:3.11-slim@sha256:…",
		Bad:    Example{Files: map[string]string{"towline.yaml": exampleManifest}, Profile: Production, At: "towline.yaml:5"},
		Good:   Example{Files: exampleWith("3.11-slim", "3.11-slim@sha256:"+strings.Repeat("0a", 32)), Profile: Production},
		Model: func(m *Model, r *Report) {
			if base := m.Image.Base; base != "scratch" && base != "" && !strings.Contains(base, "@sha256:") && floating(base) == "" {
				r.Manifest(m.Position("image.base"), "the base %s has no digest", base)
			}
		},
	}, {
		ID: "TL207", Name: "other-python", Severity: Critical,
		Looks:  "image.python against the Python in the name of image.base",
		Why:    "native wheels are made for one minor version: dependencies for another one install well and fail at the first import (No module named 'numpy.core._multiarray_umath', numpy's troubleshooting page on import errors)",
		Advice: "make image.python and the tag of image.base agree",
		Bad:    Example{Files: exampleWith("3.11-slim", "3.12-slim"), At: "towline.yaml:5"},
		Good:   Example{Files: map[string]string{"towline.yaml": exampleManifest}},
		Model: func(m *Model, r *Report) {
			if version := pythonOf(m.Image.Base); version != "" && version != m.Image.Python {
				r.Manifest(m.Position("image.python"), "dependencies are installed for Python %s, but the base %s has %s", m.Image.Python, m.Image.Base, version)
			}
		},
	}, {
		ID: "TL208", Name: "bad-sample", Severity: Major,
		Looks:  "the sample request, against its content type",
		Why:    "a fresh endpoint is judged by this request: a sample that is no JSON lets every deployment fail, or, with a lenient server, every broken model pass",
		Advice: "write a request that the model answers, or correct content_type",
		Bad: Example{Files: map[string]string{
			"towline.yaml": exampleManifest + "      sample: {file: sample.json}\n", "sample.json": "{\"x\": [1, 2}\n",
		}, At: "sample.json:1"},
		Good: Example{Files: map[string]string{
			"towline.yaml": exampleManifest + "      sample: {file: sample.json}\n", "sample.json": "{\"x\": [1, 2]}\n",
		}},
		Model: badSample,
	}}
}

// floating says why an image's reference may be another image tomorrow, or "".
func floating(reference string) string {
	if reference == "" || reference == "scratch" || strings.Contains(reference, "@") || strings.Contains(reference, "$") {
		return ""
	}
	name := reference[strings.LastIndex(reference, "/")+1:]
	if strings.HasPrefix(name, "_") || name == strings.ToUpper(name) {
		return "" // a placeholder: names of images are in lower case
	}
	_, tag, tagged := strings.Cut(name, ":")
	switch {
	case !tagged:
		return "has no tag, which means latest"
	case tag == "latest":
		return "is whatever was pushed last"
	}
	return ""
}

var pythonTag = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(3\.[0-9]{1,2})([.-]|$)`) })

var pythonMark = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[-_.](?:py|python|cp)3\.?([0-9]{1,2})([-_.]|$)`) })

// pythonOf is the minor version of the Python that an image says it has:
// python:3.11-slim, pytorch-training:2.1.0-cpu-py310-ubuntu20.04. "" if it
// does not say.
func pythonOf(reference string) string {
	reference, _, _ = strings.Cut(reference, "@")
	name := reference[strings.LastIndex(reference, "/")+1:]
	repository, tag, _ := strings.Cut(name, ":")
	if repository == "python" {
		if found := pythonTag().FindStringSubmatch(tag); found != nil {
			return found[1]
		}
		return ""
	}
	if found := pythonMark().FindStringSubmatch("-" + tag); found != nil {
		return "3." + found[1]
	}
	return ""
}

func badSample(m *Model, r *Report) {
	if m.Serve == nil || m.Serve.Sample == nil {
		return
	}
	f, ok := m.File(m.Serve.Sample.File)
	if !ok {
		return
	}
	data := f.Bytes()
	if len(data) == 0 {
		if f.Size == 0 {
			r.Whole(f, "the sample request is empty")
		}
		return
	}
	media, _, _ := strings.Cut(m.Serve.Sample.ContentType, ";")
	if media != "application/json" && !strings.HasSuffix(media, "+json") {
		return
	}
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		line := 1
		if syntax, ok := err.(*json.SyntaxError); ok { //nolint:errorlint // Unmarshal returns it as it is
			line += strings.Count(string(data[:min(int(syntax.Offset), len(data))]), "\n")
		}
		r.At(f, min(line, max(1, len(f.Lines()))), 0, "the sample is sent as %s and is none: %v", m.Serve.Sample.ContentType, err)
	}
}

// runsOn says whether the model's image is built for an architecture.
func (m *Model) runsOn(arch string) bool {
	return slices.ContainsFunc(m.Image.Platforms, func(p string) bool {
		return p == "linux/"+arch || strings.HasPrefix(p, "linux/"+arch+"/")
	})
}
