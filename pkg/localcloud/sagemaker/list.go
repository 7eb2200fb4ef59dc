package sagemaker

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/localcloud/protocol"
)

// listQuery is the request of every List operation.
type listQuery struct {
	NameContains           string
	StatusEquals           string
	SortBy                 string
	SortOrder              string
	MaxResults             *int
	NextToken              string
	CreationTimeAfter      *protocol.Time
	CreationTimeBefore     *protocol.Time
	LastModifiedTimeAfter  *protocol.Time
	LastModifiedTimeBefore *protocol.Time
}

// listed is one thing that a list may show.
type listed struct {
	name              string
	status            string
	created, modified protocol.Time
	summary           any
}

const (
	byName, byCreation, byStatus = "Name", "CreationTime", "Status"
	ascending, descending        = "Ascending", "Descending"
	defaultPage, maxPage         = 10, 100
)

// page filters, sorts and cuts. It gives the summaries and the token of the
// next page, "" after the last. A page begins after the thing the one before
// ended with, so that pages hold while things come and go.
func (q listQuery) page(all []listed, order string, sortable ...string) ([]any, string, error) {
	if err := q.check(sortable); err != nil {
		return nil, "", err
	}
	if q.SortBy == "" {
		q.SortBy = byCreation
	}
	if q.SortOrder == "" {
		q.SortOrder = order
	}
	after, err := q.position()
	if err != nil {
		return nil, "", err
	}
	all = slices.DeleteFunc(all, func(l listed) bool { return !q.shows(l) })
	slices.SortFunc(all, func(a, b listed) int { return q.compare(q.place(a), q.place(b)) })
	limit := defaultPage
	if q.MaxResults != nil {
		limit = *q.MaxResults
	}
	summaries := []any{}
	var last listed
	for _, l := range all {
		if after != nil && q.compare(q.place(l), *after) <= 0 {
			continue
		}
		if len(summaries) == limit {
			return summaries, token(q.place(last)), nil
		}
		summaries, last = append(summaries, l.summary), l
	}
	return summaries, "", nil
}

func (q listQuery) check(sortable []string) error {
	var c checks
	c.optional("nameContains", q.NameContains, maxName, containsPattern)
	c.oneOf("sortBy", q.SortBy, sortable...)
	c.oneOf("sortOrder", q.SortOrder, ascending, descending)
	c.between("maxResults", q.MaxResults, 1, maxPage)
	return c.err()
}

func (q listQuery) shows(l listed) bool {
	switch {
	case !strings.Contains(strings.ToLower(l.name), strings.ToLower(q.NameContains)),
		q.StatusEquals != "" && l.status != q.StatusEquals,
		q.CreationTimeAfter != nil && l.created.Before(q.CreationTimeAfter.Time),
		q.CreationTimeBefore != nil && l.created.After(q.CreationTimeBefore.Time),
		q.LastModifiedTimeAfter != nil && l.modified.Before(q.LastModifiedTimeAfter.Time),
		q.LastModifiedTimeBefore != nil && l.modified.After(q.LastModifiedTimeBefore.Time):
		return false
	}
	return true
}

// place is where a thing stands in the order; names break ties.
type place struct {
	Key, Name string
}

func (q listQuery) place(l listed) place {
	switch q.SortBy {
	case byName:
		return place{"", l.name}
	case byStatus:
		return place{l.status, l.name}
	}
	return place{fmt.Sprintf("%020d", l.created.UnixMilli()), l.name}
}

func (q listQuery) compare(a, b place) int {
	order := strings.Compare(a.Key, b.Key)
	if order == 0 {
		order = strings.Compare(a.Name, b.Name)
	}
	if q.SortOrder == descending {
		return -order
	}
	return order
}

func token(p place) string {
	raw, _ := json.Marshal(p) // two texts
	return base64.URLEncoding.EncodeToString(raw)
}

func (q listQuery) position() (*place, error) {
	if q.NextToken == "" {
		return nil, nil
	}
	var p place
	raw, err := base64.URLEncoding.DecodeString(q.NextToken)
	if err == nil {
		err = json.Unmarshal(raw, &p)
	}
	if err != nil {
		return nil, invalid("Invalid pagination token.")
	}
	return &p, nil
}

// answerList is the answer of a List operation.
func answerList(member string, summaries []any, next string) map[string]any {
	answer := map[string]any{member: summaries}
	if next != "" {
		answer["NextToken"] = next
	}
	return answer
}
