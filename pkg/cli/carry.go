package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gate"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
)

// courier carries a plan out: it sends each action to the room that can do it,
// and writes down what the record learns as soon as it is known.
type courier struct {
	opened
	rec        record.Record
	prediction string
	deployment string // at GitLab, that has begun and not ended
	failed     error  // of writing the record down
}

// carryOut runs the plan and returns the record as it stands afterwards, also
// after an error.
func (o opened) carryOut(ctx context.Context, p plan.Plan, rec record.Record) (*courier, error) {
	c := &courier{opened: o, rec: rec}
	if err := c.save(); err != nil {
		return c, err
	}
	if err := plan.Run(ctx, p, c, c); err != nil {
		c.breakOff(ctx)
		return c, err
	}
	return c, c.failed
}

// Do sends the action to its room.
func (c *courier) Do(ctx context.Context, action plan.Action) (plan.Receipt, error) {
	if c.failed != nil {
		return plan.Receipt{}, c.failed
	}
	switch a := action.(type) {
	case plan.Keep:
		return plan.Receipt{Yields: a.Yielded}, nil
	case plan.Package:
		return c.world.bundler.Package(ctx, a)
	case plan.Push:
		return c.world.bundler.Push(ctx, a)
	case plan.Export:
		return c.world.bundler.Export(ctx, a)
	case plan.Attest:
		return c.world.bundler.Attest(ctx, a, c.world.signer)
	case plan.Judge:
		return judge(a)
	case plan.SaveRecord:
		return c.saveRemote(ctx, a)
	case plan.Smoke:
		return c.ask(ctx, a)
	case plan.RecordDeployment:
		return c.beginDeployment(ctx, a)
	case plan.EndDeployment:
		return c.endDeployment(ctx, a)
	}
	return c.inCloud(ctx, action)
}

// inCloud does what is one call of the cloud.
func (c *courier) inCloud(ctx context.Context, action plan.Action) (plan.Receipt, error) {
	switch a := action.(type) {
	case plan.Upload:
		return c.world.cloud.Upload(ctx, a)
	case plan.Train:
		return c.world.cloud.Train(ctx, a)
	case plan.Evaluate:
		return c.world.cloud.Evaluate(ctx, a)
	case plan.Measure:
		return c.world.cloud.Measure(ctx, a)
	case plan.CreateModel:
		return c.world.cloud.CreateModel(ctx, a)
	case plan.Deploy:
		return c.world.cloud.Deploy(ctx, a)
	}
	return plan.Receipt{}, fault.Newf(fault.Bug, "carry out %s: nobody does a %T", action.ID(), action)
}

// judge asks the gate. A refusal is an error that still brings its verdict.
func judge(a plan.Judge) (plan.Receipt, error) {
	candidate, err := gate.Decode(a.Evaluation.String())
	if err != nil {
		return plan.Receipt{}, err
	}
	champion, err := championOf(a)
	if err != nil {
		return plan.Receipt{}, err
	}
	verdict, err := gate.Judge(a.Rules, candidate, champion)
	if err != nil && len(verdict.Checks) == 0 {
		return plan.Receipt{}, err
	}
	return plan.Receipt{Section: verdict, Said: sayVerdict(verdict)}, err
}

// championOf is the champion's record, with what it scored when it was measured again.
func championOf(a plan.Judge) (*record.Record, error) {
	if a.Again.String() == "" || a.Champion == nil {
		return a.Champion, nil
	}
	again, err := gate.Decode(a.Again.String())
	if err != nil {
		return nil, err
	}
	champion := *a.Champion
	champion.Evaluation = &again
	return &champion, nil
}

// sayVerdict is a verdict in one line.
func sayVerdict(v record.Verdict) string {
	held := 0
	for _, check := range v.Checks {
		if check.Status == gate.Passed {
			held++
		}
	}
	said := fmt.Sprintf("%d of %d limits hold", held, len(v.Checks))
	if v.Champion != "" {
		said += ", against the champion " + v.Champion
	}
	if v.Note != "" {
		said += "; " + v.Note
	}
	return said
}

func (c *courier) saveRemote(ctx context.Context, a plan.SaveRecord) (plan.Receipt, error) {
	body, err := record.Marshal(c.rec)
	if err != nil {
		return plan.Receipt{}, err
	}
	if err := c.world.cloud.SaveRecord(ctx, a.To, body); err != nil {
		return plan.Receipt{}, err
	}
	return plan.Receipt{Said: fmt.Sprintf("kept under its identity in s3://%s", c.Bucket)}, nil
}

func (c *courier) ask(ctx context.Context, a plan.Smoke) (plan.Receipt, error) {
	receipt, err := c.world.cloud.Smoke(ctx, a)
	c.prediction = receipt.Yields["prediction"]
	return receipt, err
}

// Started tells of an action.
func (c *courier) Started(action plan.Action) { c.tell.Started(action) }

// Done tells of an action's end and writes down what the record learnt.
func (c *courier) Done(action plan.Action, receipt plan.Receipt, err error) {
	c.tell.Done(action, receipt, err)
	if receipt.Section == nil {
		return
	}
	c.rec = receipt.Section.Into(c.rec)
	if err := c.save(); err != nil && c.failed == nil {
		c.failed = err
	}
}

func (c *courier) save() error {
	return c.workspace.SaveRecord(c.manifest, c.rec)
}

// printPlan is what a dry run shows.
func (a *app) printPlan(p plan.Plan, rec record.Record, d destination, layers []bundle.Layer) error {
	if a.output == "json" {
		return a.printJSON(planDocument{Target: d.name, Model: rec.Model, Record: rec, Actions: describe(p), Layers: layers})
	}
	fmt.Fprintf(a.stdout, "plan: %s %s → %s\n", rec.Model, rec.Name(), d.name)
	for i, action := range p {
		fmt.Fprintf(a.stdout, "\n%2d. %s\n", i+1, action.ID())
		for _, fact := range action.Facts() {
			fmt.Fprintf(a.stdout, "    %-16s %s\n", fact.Name, fact.Value)
		}
		if _, ok := action.(plan.Package); ok {
			a.printPreview(layers)
		}
	}
	return nil
}

// planDocument is a plan as data.
type planDocument struct {
	Target  string          `json:"target"`
	Model   string          `json:"model"`
	Record  record.Record   `json:"record"`
	Actions []planDocAction `json:"actions"`
	Layers  []bundle.Layer  `json:"layers,omitempty"` // that would be built
}

type planDocAction struct {
	ID      string      `json:"id"`
	Kept    bool        `json:"kept,omitempty"`
	Request plan.Action `json:"request"`
}

func describe(p plan.Plan) []planDocAction {
	actions := make([]planDocAction, 0, len(p))
	for _, action := range p {
		_, kept := action.(plan.Keep)
		actions = append(actions, planDocAction{ID: action.ID(), Kept: kept, Request: action})
	}
	return actions
}

func (a *app) printJSON(v any) error { return writeJSON(a.stdout, v) }

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
