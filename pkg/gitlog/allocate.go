package gitlog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/release"
)

// Allocation is a version that is to be taken for good, by pushing its tag.
type Allocation struct {
	Components []release.Component // one, or several that are released together
	Commit     string              // full hash; the one that is checked out if ""

	// Compute is asked for the versions each time the remote's tags have been
	// read; its results are in the order of the components.
	Compute func([]release.History) ([]release.Result, error)

	// Message is that of the annotated tag. The claim is a random text that must
	// stand in it: by it a tag is told from one that another job made alike.
	Message func(result release.Result, claim string) string

	// Publish makes the tags on the remote, if not by a push. It answers ErrTaken
	// where one of them exists and is not the very tag that was to be made.
	Publish func(ctx context.Context, tags []NewTag) error

	Attempts    int              // how often a version is computed anew after another job took it; 20 if 0
	Name, Email string           // of the tagger
	Now         func() time.Time // when it tags
}

// NewTag is an annotated tag that is to be made.
type NewTag struct {
	Name    string
	Commit  string // full hash
	Message string
	Claim   string // what tells it from all others; it stands in the message
	Result  release.Result
}

// attempts is how many there are by default.
const attempts = 20

// Allocate pushes the annotated tags of the versions that are to be released.
// Whoever pushes a tag first has its version: the others read the tags again
// and take the next one. Linked components get all of their tags or none.
// With nothing to release it returns the results and pushes nothing.
func (r *Repo) Allocate(ctx context.Context, a Allocation) ([]release.Result, error) {
	if a.Commit == "" {
		a.Commit = r.head
	}
	if a.Attempts == 0 {
		a.Attempts = attempts
	}
	claim := rand.Text()
	var lost error
	for attempt := range a.Attempts {
		if err := pause(ctx, attempt); err != nil {
			return nil, err
		}
		results, err := r.attempt(ctx, a, claim)
		if err == nil || !errors.Is(err, ErrTaken) {
			return results, err
		}
		r.o.Log.Info("the version was taken by another job", "attempt", attempt+1)
		lost = err
	}
	return nil, fault.Newf(fault.Conflict, "allocate a version: lost %d times in a row: %w", a.Attempts, lost).
		Hintf("run the job again, and set resource_group so that one release of a component runs at a time")
}

// pause waits longer after each attempt, and never as long as another job does.
func pause(ctx context.Context, attempt int) error {
	if attempt == 0 {
		return ctx.Err()
	}
	longest := min(150*time.Millisecond<<attempt, 5*time.Second)
	timer := time.NewTimer(mathrand.N(longest))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ErrTaken is a tag that another job made first.
var ErrTaken = errors.New("the tag exists already")

// attempt reads the remote's tags, computes, and pushes once.
func (r *Repo) attempt(ctx context.Context, a Allocation, claim string) ([]release.Result, error) {
	histories, s, unlock, err := r.fetched(ctx, r.rooted(a.Components), a.Commit)
	if err != nil {
		return nil, err
	}
	defer unlock()
	// A push whose answer was lost may have arrived nevertheless.
	mine := map[string]bool{}
	for i, h := range histories {
		histories[i].Tags = slices.DeleteFunc(h.Tags, func(t release.Tag) bool {
			mine[t.Name] = mine[t.Name] || t.Annotated && strings.Contains(t.Message, claim)
			return mine[t.Name]
		})
	}
	results, err := a.Compute(histories)
	if err != nil {
		return nil, err
	}
	missing := slices.DeleteFunc(slices.Clone(results), func(r release.Result) bool { return !r.Released || mine[r.Tag] })
	if len(missing) == 0 {
		return results, nil
	}
	return results, r.publish(ctx, s, a, missing, claim)
}

// publish makes the tags, and pushes them in one step without force.
func (r *Repo) publish(ctx context.Context, s *side, a Allocation, results []release.Result, claim string) error {
	if a.Publish != nil {
		var tags []NewTag
		for _, result := range results {
			tags = append(tags, NewTag{result.Tag, a.Commit, a.Message(result, claim), claim, result})
		}
		return a.Publish(ctx, tags)
	}
	tags := map[string]string{} // name → object
	var specs []string
	now := a.Now().UTC().Unix()
	for _, result := range results {
		text := fmt.Sprintf("object %s\ntype commit\ntag %s\ntagger %s <%s> %d +0000\n\n%s",
			a.Commit, result.Tag, plain(a.Name, "Towline"), plain(a.Email, "towline@localhost"), now, a.Message(result, claim))
		out, err := s.git.pipe(ctx, strings.NewReader(text), "mktag")
		if err != nil {
			return readFault("make tag "+result.Tag, err)
		}
		object := strings.TrimSpace(string(out))
		tags[result.Tag] = object
		specs = append(specs, object+":refs/tags/"+result.Tag)
	}
	if err := s.push(ctx, specs, tags); err != nil {
		return err
	}
	r.adopt(ctx, s, tags)
	return nil
}

// plain is a tagger's name or address without what git's format reserves.
func plain(text, otherwise string) string {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == '<' || r == '>' {
			return -1
		}
		return r
	}, text))
	if text == "" {
		return otherwise
	}
	return text
}
