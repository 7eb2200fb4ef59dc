package logs

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"gitlab.com/towline/towline/pkg/localcloud/protocol"
)

// Handler answers DescribeLogGroups, DescribeLogStreams, GetLogEvents and
// FilterLogEvents.
func (s *Store) Handler() http.Handler {
	return protocol.JSON(func(operation string, body []byte) (any, error) {
		switch operation {
		case "DescribeLogGroups":
			return call(body, s.describeGroups)
		case "DescribeLogStreams":
			return call(body, s.describeStreams)
		case "GetLogEvents":
			return call(body, s.getEvents)
		case "FilterLogEvents":
			return call(body, s.filterEvents)
		}
		return nil, protocol.UnknownOperation("logs", operation)
	})
}

func call[In any](body []byte, run func(In) (any, error)) (any, error) {
	var in In
	if err := protocol.Decode(body, &in); err != nil {
		return nil, err
	}
	return run(in)
}

func missing(what string) error {
	return protocol.Errorf("ResourceNotFoundException", "The specified log %s does not exist.", what)
}

type groupsInput struct {
	LogGroupNamePrefix string `json:"logGroupNamePrefix"`
}

func (s *Store) describeGroups(in groupsInput) (any, error) {
	list, err := s.groups()
	if err != nil {
		return nil, err
	}
	groups := []map[string]any{}
	for _, name := range list {
		if strings.HasPrefix(name, in.LogGroupNamePrefix) {
			groups = append(groups, map[string]any{"logGroupName": name})
		}
	}
	return map[string]any{"logGroups": groups}, nil
}

// group is how requests name a group: by its name, or an ARN that ends in it.
type group struct {
	LogGroupName       string `json:"logGroupName"`
	LogGroupIdentifier string `json:"logGroupIdentifier"`
}

func (g group) name() string {
	if g.LogGroupName != "" {
		return g.LogGroupName
	}
	_, after, found := strings.Cut(g.LogGroupIdentifier, ":log-group:")
	if !found {
		return g.LogGroupIdentifier
	}
	return strings.TrimSuffix(after, ":*")
}

type streamsInput struct {
	group
	LogStreamNamePrefix string `json:"logStreamNamePrefix"`
	OrderBy             string `json:"orderBy"`
	Descending          bool   `json:"descending"`
	Limit               int    `json:"limit"`
	NextToken           string `json:"nextToken"`
}

type stream struct {
	Name       string `json:"logStreamName"`
	Creation   int64  `json:"creationTime"`
	FirstEvent int64  `json:"firstEventTimestamp,omitempty"`
	LastEvent  int64  `json:"lastEventTimestamp,omitempty"`
	Ingestion  int64  `json:"lastIngestionTime,omitempty"`
	Bytes      int64  `json:"storedBytes"`
}

func (s *Store) describeStreams(in streamsInput) (any, error) {
	names, err := s.streams(in.name())
	if err != nil {
		return nil, err
	}
	if names == nil {
		return nil, missing("group")
	}
	list := []stream{}
	for _, name := range names {
		if strings.HasPrefix(name, in.LogStreamNamePrefix) {
			list = append(list, s.describe(in.name(), name))
		}
	}
	slices.SortFunc(list, func(a, b stream) int {
		order := strings.Compare(a.Name, b.Name)
		if in.OrderBy == "LastEventTime" && a.LastEvent != b.LastEvent {
			order = int(min(max(a.LastEvent-b.LastEvent, -1), 1))
		}
		if in.Descending {
			return -order
		}
		return order
	})
	from, err := offset(in.NextToken, "")
	if err != nil {
		return nil, err
	}
	list = list[min(from, int64(len(list))):]
	answer := map[string]any{"logStreams": list}
	if limit := bounded(in.Limit, 50); len(list) > limit {
		answer["logStreams"], answer["nextToken"] = list[:limit], strconv.FormatInt(from+int64(limit), 10)
	}
	return answer, nil
}

func (s *Store) describe(group, name string) stream {
	d := stream{Name: name}
	path := s.path(group, name)
	if info, err := os.Stat(path); err == nil {
		d.Bytes, d.LastEvent, d.Ingestion = info.Size(), info.ModTime().UnixMilli(), info.ModTime().UnixMilli()
	}
	if first, _, err := forward(path, 0, span{limit: 1}); err == nil && len(first) > 0 {
		d.Creation, d.FirstEvent = first[0].Timestamp, first[0].Timestamp
	}
	return d
}

type eventsInput struct {
	group
	LogStreamName string `json:"logStreamName"`
	StartTime     int64  `json:"startTime"`
	EndTime       int64  `json:"endTime"`
	NextToken     string `json:"nextToken"`
	Limit         int    `json:"limit"`
	StartFromHead bool   `json:"startFromHead"`
}

// getEvents pages with tokens f/<byte> and b/<byte>. The forward token at the
// end of a stream is the one that was sent, until more is written.
func (s *Store) getEvents(in eventsInput) (any, error) {
	path := s.path(in.name(), in.LogStreamName)
	want := span{start: in.StartTime, end: in.EndTime, limit: bounded(in.Limit, maxEvents)}
	var events []event
	var first, last int64
	var err error
	switch {
	case strings.HasPrefix(in.NextToken, "f/") || in.NextToken == "" && in.StartFromHead:
		if first, err = offset(in.NextToken, "f/"); err == nil {
			events, last, err = forward(path, first, want)
		}
	case in.NextToken == "":
		events, first, last, err = backward(path, -1, want)
	default:
		var before int64
		if before, err = offset(in.NextToken, "b/"); err == nil {
			events, first, last, err = backward(path, before, want)
		}
	}
	if isMissing(err) {
		return nil, missing("stream")
	}
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"events":            append([]event{}, events...),
		"nextForwardToken":  fmt.Sprintf("f/%d", last),
		"nextBackwardToken": fmt.Sprintf("b/%d", first),
	}, nil
}

type filterInput struct {
	group
	LogStreamNames      []string `json:"logStreamNames"`
	LogStreamNamePrefix string   `json:"logStreamNamePrefix"`
	StartTime           int64    `json:"startTime"`
	EndTime             int64    `json:"endTime"`
	FilterPattern       string   `json:"filterPattern"`
	NextToken           string   `json:"nextToken"`
	Limit               int      `json:"limit"`
}

type filtered struct {
	event
	Stream string `json:"logStreamName"`
	ID     string `json:"eventId"`
}

// filterEvents goes through the streams in order of their names. A pattern is
// words that must all be in the line.
func (s *Store) filterEvents(in filterInput) (any, error) {
	names, err := s.streams(in.name())
	if err != nil {
		return nil, err
	}
	if names == nil {
		return nil, missing("group")
	}
	at, from := "", int64(0)
	if in.NextToken != "" {
		digits, name, _ := strings.Cut(in.NextToken, " ")
		if from, err = offset(digits, ""); err != nil {
			return nil, err
		}
		at = name
	}
	limit := bounded(in.Limit, maxEvents)
	found := []filtered{}
	for _, name := range names {
		if name < at || !strings.HasPrefix(name, in.LogStreamNamePrefix) || in.LogStreamNames != nil && !slices.Contains(in.LogStreamNames, name) {
			continue
		}
		if name > at {
			from = 0
		}
		want := span{start: in.StartTime, end: in.EndTime, limit: limit - len(found), match: words(in.FilterPattern)}
		events, end, err := forward(s.path(in.name(), name), from, want)
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			found = append(found, filtered{e, name, fmt.Sprintf("%s/%d/%d", name, e.Timestamp, len(found))})
		}
		if len(found) == limit {
			return map[string]any{"events": found, "searchedLogStreams": []any{}, "nextToken": fmt.Sprintf("%d %s", end, name)}, nil
		}
	}
	return map[string]any{"events": found, "searchedLogStreams": []any{}}, nil
}

func words(pattern string) func(string) bool {
	list := strings.Fields(strings.ReplaceAll(pattern, `"`, " "))
	return func(text string) bool {
		for _, word := range list {
			if !strings.Contains(text, word) {
				return false
			}
		}
		return true
	}
}

func bounded(n, most int) int {
	if n <= 0 || n > most {
		return most
	}
	return n
}

// offset reads a token; none is the start.
func offset(token, prefix string) (int64, error) {
	if token == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(token, prefix), 10, 64)
	if err != nil || n < 0 {
		return 0, protocol.Errorf("InvalidParameterException", "The specified nextToken is invalid.")
	}
	return n, nil
}
