// Command pin makes the components those of a release: it writes the digest of
// the release's image into every template, and its version into the pages that
// show how they are included.
//
// In come a reference by digest and a version; out go changed files, and the
// words of the release. It speaks to no registry and to no git.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pin:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("pin", flag.ContinueOnError)
	image := flags.String("image", "", "the release's image, HOST/REPOSITORY@sha256:DIGEST")
	version := flags.String("version", "", "the release's version, such as 1.2.0")
	notes := flags.String("notes", "", "file for the words of the release")
	check := flags.Bool("check", false, "change nothing, and say what the templates are pinned to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	components, err := readComponents("templates")
	if err != nil {
		return err
	}
	if *check {
		_, err := fmt.Fprintln(out, components[0].image)
		return err
	}
	r := release{image: *image, version: *version}
	if err := r.valid(); err != nil {
		return err
	}
	if err := r.pin(components); err != nil {
		return err
	}
	for _, page := range []string{"README.md", filepath.Join("templates", "README.md")} {
		if err := r.show(page); err != nil {
			return err
		}
	}
	if *notes == "" {
		return nil
	}
	return os.WriteFile(*notes, []byte(r.notes(components)), 0o644)
}

// component is one template, and the image that it names.
type component struct {
	file, text, image string
}

func (c component) name() string { return strings.TrimSuffix(filepath.Base(c.file), ".yml") }

// unpinned is the image of the templates between releases.
const unpinned = "$TOWLINE_IMAGE"

// imageInput is the input of that name with its default.
var imageInput = regexp.MustCompile(`(?m)^(    image:\n(?:      .*\n)*?      default: )"([^"\n]*)"$`)

// readComponents reads the templates, which must all name the same image.
func readComponents(folder string) ([]component, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("there are no templates here: run it at the top of the project")
	}
	var list []component
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		found := imageInput.FindAllSubmatch(text, -1)
		if len(found) != 1 {
			return nil, fmt.Errorf("%s: %d inputs called image with a default, wanted one", file, len(found))
		}
		c := component{file: file, text: string(text), image: string(found[0][2])}
		if len(list) > 0 && list[0].image != c.image {
			return nil, fmt.Errorf("%s names the image %s, and %s names %s", c.file, c.image, list[0].file, list[0].image)
		}
		list = append(list, c)
	}
	return list, nil
}

// release is what the components are pinned to.
type release struct {
	image, version string
}

var (
	byDigest = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+@sha256:[0-9a-f]{64}$`)
	semantic = regexp.MustCompile(`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$`)
)

// valid refuses what the catalogue would not take, or what may move later.
func (r release) valid() error {
	switch {
	case !byDigest.MatchString(r.image):
		return fmt.Errorf("-image %q: wanted HOST/REPOSITORY@sha256:DIGEST, as a tag may move", r.image)
	case !semantic.MatchString(r.version):
		return fmt.Errorf("-version %q: wanted three numbers such as 1.2.0, without a v", r.version)
	}
	return nil
}

// pin writes the image into the templates, of which none is pinned to another one.
func (r release) pin(components []component) error {
	if at := components[0].image; at != unpinned && at != r.image {
		return fmt.Errorf("the templates are pinned to %s already: a release is made from the default branch", at)
	}
	for _, c := range components {
		text := imageInput.ReplaceAllString(c.text, `${1}"`+r.image+`"`)
		if err := os.WriteFile(c.file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

var shownVersion = regexp.MustCompile(`(\$CI_SERVER_FQDN/[A-Za-z0-9_./-]+@)[0-9]+\.[0-9]+\.[0-9]+`)

// show puts the version into the examples of a page.
func (r release) show(page string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	return os.WriteFile(page, shownVersion.ReplaceAll(text, []byte("${1}"+r.version)), 0o644)
}

func (r release) notes(components []component) string {
	var text strings.Builder
	fmt.Fprintf(&text, "Image of all components: `%s`\n\nComponents:\n\n", r.image)
	for _, c := range components {
		fmt.Fprintf(&text, "- `%s`\n", c.name())
	}
	return text.String()
}
