package report

import (
	"bytes"
	"encoding/json"
	"net/url"
)

// What GitLab takes of an annotations report: 80 KiB, lists of up to 1,000
// links (app/services/ci/parse_annotations_artifact_service.rb).
const (
	annotationsSize = 81_920
	maxLinks        = 50
	labelLength     = 100
	addressLength   = 1024
)

// Link is a link on the page of a job.
type Link struct {
	Label string
	URL   string
}

type annotation struct {
	Link externalLink `json:"external_link"`
}

type externalLink struct {
	Label string `json:"label"`
	URL   string `json:"url"`
}

// Annotations writes links for GitLab's annotations report, under a title. What
// is no address of the web, or too long, is left out.
func Annotations(title string, links []Link) []byte {
	list := []annotation{}
	for _, link := range first(links, maxLinks) {
		at, err := url.Parse(link.URL)
		if err != nil || at.Scheme != "https" && at.Scheme != "http" || at.Host == "" || at.User != nil || len(link.URL) > addressLength {
			continue
		}
		list = append(list, annotation{externalLink{clip(link.Label, labelLength), link.URL}})
	}
	text := annotationsText(title, list)
	for len(text) >= annotationsSize {
		list = list[:len(list)-1]
		text = annotationsText(title, list)
	}
	return text
}

func annotationsText(title string, list []annotation) []byte {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(map[string][]annotation{clip(title, labelLength): list}) // strings always marshal
	return text.Bytes()
}
