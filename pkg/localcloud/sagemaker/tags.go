package sagemaker

import (
	"slices"
	"strings"
)

type addTagsInput struct {
	ResourceArn string
	Tags        []tag
}

func (s *Service) addTags(in addTagsInput) (any, error) {
	var c checks
	c.present("resourceArn", in.ResourceArn != "")
	c.present("tags", in.Tags != nil)
	c.tags(in.Tags)
	if err := c.err(); err != nil {
		return nil, err
	}
	tags, err := s.changeTags(in.ResourceArn, func(have []tag) ([]tag, error) {
		for _, t := range in.Tags {
			have = without(have, t.Key)
			have = append(have, t)
		}
		var c checks
		c.count("tags", len(have), 0, maxTags)
		return have, c.err()
	})
	return map[string]any{"Tags": tags}, err
}

type deleteTagsInput struct {
	ResourceArn string
	TagKeys     []string
}

func (s *Service) deleteTags(in deleteTagsInput) (any, error) {
	var c checks
	c.present("resourceArn", in.ResourceArn != "")
	c.present("tagKeys", in.TagKeys != nil)
	if err := c.err(); err != nil {
		return nil, err
	}
	_, err := s.changeTags(in.ResourceArn, func(have []tag) ([]tag, error) {
		return without(have, in.TagKeys...), nil
	})
	return struct{}{}, err
}

type listTagsInput struct {
	ResourceArn string
	NextToken   string
	MaxResults  *int
}

// listTags gives every tag at once: there are never more than a page of them.
func (s *Service) listTags(in listTagsInput) (any, error) {
	var c checks
	c.present("resourceArn", in.ResourceArn != "")
	c.between("maxResults", in.MaxResults, maxTags, 1<<31-1)
	if err := c.err(); err != nil {
		return nil, err
	}
	var found []tag
	err := s.tagged(in.ResourceArn, func(have []tag) { found = have })
	return map[string]any{"Tags": append([]tag{}, found...)}, err
}

func without(have []tag, keys ...string) []tag {
	return slices.DeleteFunc(slices.Clone(have), func(t tag) bool { return slices.Contains(keys, t.Key) })
}

// kinds in resource names: arn:aws:sagemaker:<region>:<account>:<kind>/<name>.
const (
	kindJob      = "training-job"
	kindModel    = "model"
	kindConfig   = "endpoint-config"
	kindEndpoint = "endpoint"
)

func (s *Service) resource(arn string) (kind, name string, err error) {
	rest, ok := strings.CutPrefix(arn, strings.TrimSuffix(s.arn("", ""), "/"))
	kind, name, slash := strings.Cut(rest, "/")
	if !ok || !slash {
		return "", "", invalid("Value '%s' at 'resourceArn' failed to satisfy constraint: Member must be the ARN of a resource of account %s in %s", arn, s.o.Account, s.o.Region)
	}
	return kind, name, nil
}

// tagged shows the tags of a resource.
func (s *Service) tagged(arn string, show func([]tag)) error {
	kind, name, err := s.resource(arn)
	if err != nil {
		return err
	}
	var tags []tag
	var found bool
	switch kind {
	case kindJob:
		var row job
		row, found = s.jobs.Get(name)
		tags = row.Tags
	case kindModel:
		var row model
		row, found = s.models.Get(name)
		tags = row.Tags
	case kindConfig:
		var row endpointConfig
		row, found = s.configs.Get(name)
		tags = row.Tags
	case kindEndpoint:
		var row endpoint
		row, found = s.endpoints.Get(name)
		tags = row.Tags
	}
	if !found {
		return errNotFound
	}
	show(tags)
	return nil
}

// changeTags replaces the tags of a resource.
func (s *Service) changeTags(arn string, change func([]tag) ([]tag, error)) ([]tag, error) {
	if err := s.tagged(arn, func([]tag) {}); err != nil {
		return nil, err
	}
	kind, name, err := s.resource(arn)
	if err != nil {
		return nil, err
	}
	var tags []tag
	set := func(into *[]tag) (err error) {
		if tags, err = change(*into); err == nil {
			*into = tags
		}
		return err
	}
	switch kind {
	case kindJob:
		_, err = s.jobs.Update(name, func(row *job) error { return set(&row.Tags) })
	case kindModel:
		_, err = s.models.Update(name, func(row *model) error { return set(&row.Tags) })
	case kindConfig:
		_, err = s.configs.Update(name, func(row *endpointConfig) error { return set(&row.Tags) })
	case kindEndpoint:
		_, err = s.endpoints.Update(name, func(row *endpoint) error { return set(&row.Tags) })
	}
	return tags, err
}
