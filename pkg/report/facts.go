package report

import (
	"maps"
	"slices"

	"gitlab.com/towline/towline/pkg/record"
)

// fact is a name with a text.
type fact struct{ Name, Text string }

// factsOf lists what is known of the release, stage by stage.
func factsOf(rec record.Record) []fact {
	list := facts("version", rec.Version.Version, "candidate", rec.Candidate, "builds on", rec.Base, "bump", rec.Bump,
		"identity", rec.Identity, "repository", rec.Source.Repository, "commit", commitOf(rec.Source), "branch or tag", rec.Source.Ref,
		"pipeline", rec.Source.Pipeline, "job", rec.Source.Job)
	for _, channel := range first(rec.Data, maxFacts) {
		list = append(list, facts("data "+channel.Name, channelText(channel))...)
	}
	if i := rec.Image; i != nil {
		list = append(list, facts("image", imageOf(*i), "image built on", i.Base, "platform", i.Platform, "python", i.Python, "image size", bytesOf(i.Size))...)
	}
	if t := rec.Training; t != nil {
		list = append(list, facts("training job", t.Job, "trained on", t.Instance, "training started", t.Started, "training ended", t.Ended, "model data", t.ModelData)...)
		for _, key := range first(slices.Sorted(maps.Keys(t.Hyperparameters)), maxFacts) {
			list = append(list, facts("hyperparameter "+key, t.Hyperparameters[key])...)
		}
	}
	if e := rec.Evaluation; e != nil {
		list = append(list, facts("test data", e.TestData, "test channel", e.DataName)...)
	}
	if v := rec.Verdict; v != nil {
		list = append(list, facts("champion evaluated again by", v.Again)...)
	}
	if e := rec.Endpoint; e != nil {
		list = append(list, facts("endpoint", e.Name, "environment", e.Environment, "endpoint config", e.Config)...)
	}
	return list
}

// facts makes facts of names and texts in turn, without the empty ones.
func facts(pairs ...string) []fact {
	var list []fact
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			list = append(list, fact{name(pairs[i]), said(pairs[i+1])})
		}
	}
	return list
}

func commitOf(s record.Source) string {
	if s.Dirty {
		return s.Commit + " with uncommitted changes"
	}
	return s.Commit
}

func channelText(c record.Channel) string {
	if c.Digest == "" {
		return c.URI
	}
	return c.URI + " (" + c.Digest + ")"
}

// imageOf is the reference by digest.
func imageOf(i record.Image) string {
	if i.Repository == "" {
		return i.Digest
	}
	return i.Repository + "@" + i.Digest
}
