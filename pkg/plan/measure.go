package plan

import (
	"fmt"

	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/release"
)

// ModelChannel is the channel in which a model's archive reaches the evaluate
// entry of its image, and EvaluateEntry is where that entry lies.
const (
	ModelChannel  = "towline-model"
	EvaluateEntry = "/opt/towline/bin/evaluate"
)

// Measure evaluates the champion once more, by its own code and on the
// candidate's test data, in a training job of its image. It yields evaluation,
// as JSON.
type Measure struct {
	Champion string `json:"champion,omitempty"` // its name
	Why      string `json:"why,omitempty"`
	Job      Train  `json:"job,omitzero"`
	File     string `json:"file,omitempty"`      // in the job's output, which the champion's command writes
	TestData string `json:"test_data,omitempty"` // digest
	Channel  string `json:"channel,omitempty"`   // the channels that hold that data
	Unread   bool   `json:"unread,omitempty"`    // what serves could not be read, as in an offline dry run: nothing else is known
}

// ID is "measure".
func (Measure) ID() string { return "measure" }

// Facts are the request in short.
func (a Measure) Facts() []Fact {
	if a.Unread {
		return facts("champion", "read from the endpoint when it runs", "if", a.Why, "channel", a.Channel, "test data", a.TestData)
	}
	list := facts("champion", a.Champion, "because", a.Why, "runs", EvaluateEntry)
	return append(append(list, a.Job.Facts()...), facts("file", a.File)...)
}

// Fill changes nothing: a champion is known as a whole.
func (a Measure) Fill(Yields) (Action, error) { return a, nil }

// measuringAgain evaluates the champion on the candidate's test data, where
// the gate would otherwise have nothing to compare.
func (r Release) measuringAgain() (Measure, bool) {
	e, champion, test := r.Model.Evaluate, r.World.Champion, testChannels(r.Record.Data)
	if len(test) == 0 || e.Champion == manifest.ChampionRecorded || !relative(e.Gate) {
		return Measure{}, false
	}
	digest := DataSetDigest(test)
	if !r.World.Read {
		return Measure{
			Unread: true, Why: "the champion was measured on other test data, and its image has an evaluate entry",
			TestData: digest, Channel: names(test),
		}, len(e.Command) > 0
	}
	if champion == nil || champion.Image == nil || champion.Image.Evaluates == "" || champion.Training == nil {
		return Measure{}, false
	}
	why := "its record has no evaluation"
	if champion.Evaluation != nil {
		why = "it was measured on other test data"
	}
	if champion.Evaluation != nil && champion.Evaluation.TestData == digest {
		return Measure{}, false
	}
	return Measure{
		Champion: champion.Name(), Why: why, Job: r.evaluationOf(*champion, test),
		File: champion.Image.Evaluates, TestData: digest, Channel: names(test),
	}, true
}

// relative says whether a rule holds the candidate against the champion.
func relative(rules []manifest.Rule) bool {
	for _, rule := range rules {
		if rule.MayDrop != nil || rule.MayRise != nil {
			return true
		}
	}
	return false
}

// evaluationOf is the job that evaluates the champion. Its name is made of what
// it measures and on what, so that it is found again; its instance is that of
// the candidate's training, one and not a spot one.
func (r Release) evaluationOf(champion record.Record, test []record.Channel) Train {
	t := r.Model.Train
	inputs := []Input{{Channel: ModelChannel, URI: champion.Training.ModelData}}
	for _, channel := range test {
		inputs = append(inputs, Input{Channel: channel.Name, URI: channel.URI})
	}
	image := champion.Image.Repository + "@" + champion.Image.Digest
	identity := hash("evaluation 1", champion.Identity, image, inputs, DataSetDigest(test), t.Environment)
	tags := r.tags()
	tags["towline:version"], tags["towline:identity"] = champion.Name(), identity
	return Train{
		Job:        release.SageMakerNameMax(jobNameMax, champion.Project, champion.Model, "eval", short(champion.Identity), short(identity)),
		Entrypoint: []string{EvaluateEntry}, Image: Text(image), Role: r.Target.ExecutionRole,
		Instance: t.Instance, Count: 1, VolumeGB: t.VolumeGB, MaxRuntime: t.MaxRuntime,
		Environment: selfKnowledge(champion, t.Environment), Inputs: inputs,
		Output: fmt.Sprintf("s3://%s/%s/%s/evaluations", r.Target.Bucket, champion.Project, champion.Model),
		VPC:    r.Target.VPC, KMSKey: r.Target.KMSKey, Identity: identity, Tags: tags,
	}
}
