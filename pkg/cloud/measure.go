package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
)

// Measure evaluates the champion again, or adopts the job that does or did so.
func (c *Cloud) Measure(ctx context.Context, a plan.Measure) (plan.Receipt, error) {
	ran, err := c.Train(ctx, a.Job)
	if err != nil {
		return plan.Receipt{}, unmeasurable(a, err)
	}
	read, err := c.Evaluate(ctx, plan.Evaluate{
		OutputData: plan.Text(ran.Yields["output_data"]), File: a.File, TestData: a.TestData, Channel: a.Channel,
	})
	if err != nil {
		return plan.Receipt{}, unmeasurable(a, err)
	}
	found, _ := read.Section.(record.Evaluation)
	found.Job = ran.Yields["job"]
	text, err := json.Marshal(found)
	if err != nil {
		return plan.Receipt{}, fault.Newf(fault.Bug, "write the champion's evaluation: %w", err)
	}
	return plan.Receipt{
		Yields: map[string]string{"evaluation": string(text)},
		Said:   fmt.Sprintf("the champion %s on this test data, by %s: %s", a.Champion, found.Job, read.Said),
	}, nil
}

// unmeasurable says whose code it was that failed: not the candidate's.
func unmeasurable(a plan.Measure, err error) error {
	cause := (*fault.Error)(nil)
	if !errors.As(err, &cause) || cause.Kind != fault.Model {
		return err
	}
	return fault.Newf(fault.Model, "evaluate the champion %s again: %w", a.Champion, err).With(fault.DetailsOf(err)...).
		Hintf("its own evaluate command cannot measure this release's test data: keep the data's form, or set evaluate.champion: recorded in towline.yaml, so that absolute limits alone decide")
}
