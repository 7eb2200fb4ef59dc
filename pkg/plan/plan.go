// Package plan is what will change: typed actions of strings and numbers, the
// planners that choose them, and the one loop that carries them out.
//
// In come nouns: the manifest, the record, and what was read of the world. Out
// goes a Plan, which can be printed without running and run without thinking.
// It never touches a service, the disk or the clock.
package plan

import (
	"context"

	"gitlab.com/towline/towline/pkg/record"
)

// Plan is a list of actions in the order in which they are carried out.
type Plan []Action

// Action is one thing that will change. Its exported fields are its JSON form.
type Action interface {
	// ID is the action's name within its plan, such as "package" or "upload:train".
	ID() string
	// Facts are what a reader of the plan is shown, in order.
	Facts() []Fact
	// Fill is the action with its references replaced by what earlier ones yielded.
	Fill(Yields) (Action, error)
}

// Fact is one line about an action.
type Fact struct {
	Name  string
	Value Value
}

// Receipt is what an action brought about.
type Receipt struct {
	Yields  map[string]string // for later actions, by field
	Section record.Section    // what the record learns; may be nil
	Said    string            // one line for the user: what was done, and why
}

// Doer carries out one action whose references are filled.
type Doer interface {
	Do(context.Context, Action) (Receipt, error)
}

// Watcher is told how the plan goes. A receipt that comes with an error still counts.
type Watcher interface {
	Started(Action)
	Done(Action, Receipt, error)
}

// Run carries out the plan until an action returns an error.
func Run(ctx context.Context, p Plan, d Doer, w Watcher) error {
	yields := Yields{}
	for _, action := range p {
		if err := ctx.Err(); err != nil {
			return err
		}
		filled, err := action.Fill(yields)
		if err != nil {
			return err
		}
		w.Started(filled)
		receipt, err := d.Do(ctx, filled)
		w.Done(filled, receipt, err)
		if err != nil {
			return err
		}
		yields[action.ID()] = receipt.Yields
	}
	return nil
}
