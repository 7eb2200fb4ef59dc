package plan

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/release"
)

// Whole is the whole way of a release: from its files to a prediction, or to
// an image where there is no more.
func Whole(r Release) Plan {
	steps := Shipping(r)
	if r.Model.Trained() {
		steps = slices.Concat(steps, Training(r), Judging(r))
	}
	if r.Model.Serve != nil {
		steps = slices.Concat(steps, Deploying(r), Asking(r))
	}
	return steps
}

// Packaging builds the image, unless this identity is packaged already.
func Packaging(r Release) Plan {
	if image := r.Record.Image; image != nil && r.Format == "" && (r.World.Image || r.World.Layout) {
		where := "in " + image.Repository
		if !r.World.Image {
			where = "in " + r.Layout
		}
		return Plan{keep("package", "identity %s is packaged already, %s", short(r.Record.Identity), where).
			yields("digest", image.Digest)}
	}
	return Plan{Package{
		Project: r.Record.Project, Model: r.Record.Model,
		Root: r.Root, Path: r.Model.Path, Shared: r.Model.Shared, Exclude: r.Exclude,
		Base: r.Target.Base, Platform: r.Target.Platform, Python: r.Model.Image.Python,
		Requirements: r.Model.Image.Requirements, Programs: r.Model.Image.Programs,
		Environment: r.Model.Image.Environment, User: r.Model.Image.User,
		Train: r.Model.Train.Command, Serve: r.serveCommand(), Evaluate: r.evaluateCommand(), EvaluationFile: r.evaluationFile(),
		Labels: r.labels(), Created: r.Created, Layout: r.Layout,
		Format: r.Format, Variants: r.Variants, Reuse: r.reuse(),
	}}
}

// Shipping packages the image and publishes it. Layers are sent while others
// are still being packed.
func Shipping(r Release) Plan {
	packing, publishing := Packaging(r), Publishing(r)
	pack, packs := packing[0].(Package)
	if push, pushes := publishing[0].(Push); packs && pushes {
		pack.Ahead = push.Repository
		packing = Plan{pack}
	}
	return slices.Concat(packing, publishing)
}

// Publishing pushes the packaged image, unless the registry has it, and then
// the evidence that belongs to it.
func Publishing(r Release) Plan {
	image := r.Record.Image
	if image != nil && r.World.Image {
		return Plan{keep("push", "the registry has %s", image.Digest).
			yields("image", r.repository()+"@"+image.Digest), r.attesting()}
	}
	push := Push{
		Layout: r.Layout, Repository: r.repository(), Digest: After("package", "digest"),
		Tags: []string{release.OCITag(r.Record.Name())}, Marker: Marker, Create: r.newRepository(),
	}
	if image != nil {
		push.Image = *image
	}
	return Plan{push, r.attesting()}
}

// Training uploads the data and trains, unless this identity is trained
// already, and reads what was measured.
func Training(r Release) Plan {
	if t := r.Record.Training; t != nil {
		trained := keep("train", "identity %s is trained already, by %s", short(r.Record.Identity), t.Job).
			yields("job", t.Job, "model_data", t.ModelData, "output_data", t.OutputData)
		return append(Plan{trained}, r.measuring()...)
	}
	var steps Plan
	var inputs []Input
	for _, channel := range r.Record.Data {
		inputs = append(inputs, Input{Channel: channel.Name, URI: channel.URI})
		if dir := r.Folders[channel.Name]; dir != "" {
			steps = append(steps, Upload{
				Channel: channel.Name, Dir: dir, Digest: channel.Digest, To: channel.URI, KMSKey: r.Target.KMSKey,
			})
		}
	}
	return slices.Concat(steps, Plan{r.train(inputs)}, r.measuring())
}

// measuring reads what the training measured, and keeps the record.
func (r Release) measuring() Plan {
	e := r.Model.Evaluate
	if known := r.Record.Evaluation; e != nil && known != nil {
		return Plan{keep("evaluate", "measured by %s", r.Record.Training.Job).yields("evaluation", jsonText(known))}
	}
	save := SaveRecord{Step: "trained", To: r.recordURI()}
	if e == nil && r.Record.Training != nil {
		return nil
	}
	if e == nil {
		return Plan{save}
	}
	test := testChannels(r.Record.Data)
	return Plan{Evaluate{
		OutputData: After("train", "output_data"), File: e.File,
		TestData: DataSetDigest(test), Channel: names(test),
	}, save}
}

// image is the pushed image, by digest.
func (r Release) image() Value {
	return Join(Text(r.repository()+"@"), After("package", "digest"))
}

func (r Release) train(inputs []Input) Train {
	t := r.Model.Train
	return Train{
		Job: r.job(), Image: r.image(), Role: r.Target.ExecutionRole,
		Instance: t.Instance, Count: t.Count, VolumeGB: t.VolumeGB, Spot: t.Spot,
		MaxRuntime: t.MaxRuntime, Hyperparameters: t.Hyperparameters,
		Environment: r.selfKnowledge(t.Environment), Inputs: inputs,
		Output: fmt.Sprintf("s3://%s/%s/%s/training", r.Target.Bucket, r.Record.Project, r.Record.Model),
		VPC:    r.Target.VPC, KMSKey: r.Target.KMSKey, Identity: r.Record.Identity, Tags: r.tags(),
	}
}

// Judging asks the gate, unless this very release is the champion already. A
// champion whose metrics are of other test data is measured again before.
func Judging(r Release) Plan {
	if r.Model.Evaluate == nil {
		return nil
	}
	champion := r.World.Champion
	if champion != nil && champion.Identity == r.Record.Identity && passed(r.Record) {
		return Plan{keep("gate", "this release is the champion already, and passed")}
	}
	judge := Judge{
		Rules: r.Model.Evaluate.Gate, Evaluation: After("evaluate", "evaluation"),
		Champion: champion, Unread: !r.World.Read,
	}
	measure, needed := r.measuringAgain()
	if !needed {
		return Plan{judge}
	}
	judge.Again = After(measure.ID(), "evaluation")
	return Plan{measure, judge}
}

// Deploying makes the endpoint serve the release, unless it does so already.
func Deploying(r Release) Plan {
	serve := r.Model.Serve
	if r.World.Healthy && r.World.Config == r.config() && r.Record.Endpoint != nil {
		return Plan{keep("deploy", "%s serves this release already", r.endpoint())}
	}
	return Plan{
		CreateModel{
			Name: r.modelName(), Image: r.image(), ModelData: After("train", "model_data"), Role: r.Target.ExecutionRole,
			Environment: r.selfKnowledge(serve.Environment), VPC: r.Target.VPC,
			Identity: r.Record.Identity, Tags: r.tags(),
		},
		Deploy{
			Environment: r.Target.Name, Endpoint: r.endpoint(), Config: r.config(), Model: After("model", "model"),
			Variant: "main", Instance: serve.Instance, Count: serve.Count, Startup: serve.Startup,
			KMSKey: r.Target.KMSKey, Identity: r.Record.Identity, Tags: r.tags(),
		},
		SaveRecord{Step: "deployed", To: r.recordURI()},
	}
}

// Asking sends the manifest's sample to the endpoint.
func Asking(r Release) Plan {
	sample := r.Model.Serve.Sample
	if sample == nil {
		return nil
	}
	file := path.Join(r.Root, r.Model.Path, sample.File)
	return Plan{Smoke{Endpoint: r.endpoint(), File: file, ContentType: sample.ContentType}}
}

// Known puts what earlier stages yielded before a plan that refers to it, for
// commands that do one stage only.
func Known(r Release, p Plan) Plan {
	known := Plan{}
	if image := r.Record.Image; image != nil {
		known = append(known, keep("package", "packaged by an earlier job").yields("digest", image.Digest))
	}
	if t := r.Record.Training; t != nil {
		known = append(known, keep("train", "trained by %s", t.Job).
			yields("job", t.Job, "model_data", t.ModelData, "output_data", t.OutputData))
	}
	if r.Record.Evaluation != nil {
		known = append(known, keep("evaluate", "measured by an earlier job").
			yields("evaluation", jsonText(r.Record.Evaluation)))
	}
	done := map[string]bool{}
	for _, action := range p {
		done[action.ID()] = true
	}
	return append(slices.DeleteFunc(known, func(a Action) bool { return done[a.ID()] }), p...)
}

func (r Release) evaluateCommand() []string {
	if r.Model.Evaluate == nil {
		return nil
	}
	return r.Model.Evaluate.Command
}

// evaluationFile is empty for an image without the command that writes it.
func (r Release) evaluationFile() string {
	if len(r.evaluateCommand()) == 0 {
		return ""
	}
	return r.Model.Evaluate.File
}

func (r Release) serveCommand() []string {
	if r.Model.Serve == nil {
		return nil
	}
	return r.Model.Serve.Command
}

// labels say what the image is and where it came from. They are in its
// configuration alone: no layer and no identity changes with them. The version
// is the one that the release is a candidate for, which a second pipeline of
// the same commit gives too.
func (r Release) labels() map[string]string {
	labels := map[string]string{
		"org.towline.project":  r.Record.Project,
		"org.towline.model":    r.Record.Model,
		"org.towline.identity": r.Record.Identity,
	}
	source := r.Record.Source
	if source.Repository != "" {
		labels["org.opencontainers.image.source"] = source.Repository
	}
	if source.Commit != "" && source.Dirty {
		labels["org.opencontainers.image.revision"] = source.Commit + "-dirty"
	} else if source.Commit != "" {
		labels["org.opencontainers.image.revision"] = source.Commit
	}
	if r.Record.Version.Version != "" {
		labels["org.opencontainers.image.version"] = r.Record.Version.Version
	}
	return labels
}

// Marker is the tag of the image whose layers the next build looks at.
const Marker = "towline-cache"

// reuse names the images whose layers need not be built again: the last one
// that was pushed, and the champion, in registries where the marker cannot move.
func (r Release) reuse() []string {
	images := []string{r.repository() + ":" + Marker}
	champion := r.World.Champion
	if champion != nil && champion.Image != nil && champion.Image.Repository == r.repository() {
		images = append(images, r.repository()+"@"+champion.Image.Digest)
	}
	return images
}

// newRepository is nil for the local cloud, whose registry needs no creating.
func (r Release) newRepository() *NewRepository {
	if r.Target.Name == "local" {
		return nil
	}
	settings := r.Model.Image.Repository
	return &NewRepository{
		Immutable: settings.Immutable, Scan: settings.Scan, Keep: settings.Keep, KMSKey: r.Target.KMSKey,
		Tags: r.Target.Tags,
	}
}

func passed(rec record.Record) bool { return rec.Verdict != nil && rec.Verdict.Passed }

// testChannels are the channels that the evaluation was measured on.
func testChannels(channels []record.Channel) []record.Channel {
	var test []record.Channel
	for _, c := range channels {
		if c.Test {
			test = append(test, c)
		}
	}
	return test
}

func names(channels []record.Channel) string {
	var list []string
	for _, c := range channels {
		list = append(list, c.Name)
	}
	return strings.Join(list, ",")
}

func keep(of, why string, args ...any) Keep {
	return Keep{Of: of, Why: fmt.Sprintf(why, args...)}
}

func (a Keep) yields(pairs ...string) Keep {
	a.Yielded = map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		a.Yielded[pairs[i]] = pairs[i+1]
	}
	return a
}

func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // a record always marshals: its numbers were read from JSON
	}
	return string(text)
}
