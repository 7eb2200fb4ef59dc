package cli

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlab"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
)

// namingTime is how long the name of a pipeline may take: it is no more than
// a kindness.
const namingTime = 10 * time.Second

// namePipeline calls the pipeline by its versions, unless the user has named
// it or does not want that. That it did not work is a warning.
func (a *app) namePipeline(ctx context.Context, records []record.Record) {
	job, inJob := a.job()
	if !inJob || job.PipelineID == "" || job.Tag != "" || a.getenv("TOWLINE_PIPELINE_NAME") == "off" {
		return
	}
	action := plan.NamePipeline{Project: job.Project(), Pipeline: job.PipelineID, Name: renamed(job.PipelineName, records)}
	if action.Name == job.PipelineName {
		return
	}
	client, err := a.jobGitLab()
	if err != nil {
		return // a runner without GitLab behind it
	}
	ctx, cancel := context.WithTimeout(ctx, namingTime)
	defer cancel()
	err = plan.Run(ctx, plan.Plan{action}, doer(func(ctx context.Context, _ plan.Action) (plan.Receipt, error) {
		return plan.Receipt{}, client.NamePipeline(ctx, action.Pipeline, job.PipelineName, func(now string) string { return renamed(now, records) })
	}), a.teller())
	if err != nil {
		fmt.Fprintf(a.stderr, "towline: warning: %v\n", err)
		if hint := fault.HintOf(err); hint != "" {
			fmt.Fprintf(a.stderr, "towline: hint: %s\n", hint)
		}
	}
}

// ourName is a part of a pipeline's name that a version job wrote: a model and
// its version.
var ourName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([a-z0-9]+(?:-[a-z0-9]+)*) [0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+-]*(?: \(nothing to release\))?$`)
})

const (
	between = ", "          // the parts
	andMore = between + "…" // where there is no room for them all
)

// renamed adds the releases to the name that a pipeline has by now. Other jobs
// of the pipeline may have named other models: these stay. A name that no
// version job gave is the user's, and stays as it is.
func renamed(now string, records []record.Record) string {
	var names []string
	mine := map[string]bool{}
	for _, rec := range records {
		names = append(names, nameOf(rec))
		mine[rec.Model] = true
	}
	others, more := strings.CutSuffix(now, andMore)
	if now == "" {
		return shortened(names, more)
	}
	for part := range strings.SplitSeq(others, between) {
		found := ourName().FindStringSubmatch(part)
		if found == nil {
			return now
		}
		if !mine[found[1]] {
			names = append(names, part)
		}
	}
	return shortened(names, more)
}

// nameOf is the part of the name for one release.
func nameOf(rec record.Record) string {
	if !rec.Released {
		return rec.Model + " " + rec.Version.Version + " (nothing to release)"
	}
	return rec.Model + " " + rec.Name()
}

// shortened joins as many whole names as there is room for, in an order that
// does not depend on who comes first.
func shortened(names []string, more bool) string {
	slices.Sort(names)
	for n := len(names); n > 0; n-- {
		all := strings.Join(names[:n], between)
		if more || n < len(names) {
			all += andMore
		}
		if len(all) <= gitlab.MostName {
			return all
		}
	}
	return names[0][:min(len(names[0]), gitlab.MostName)]
}
