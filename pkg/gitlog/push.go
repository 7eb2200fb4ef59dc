package gitlog

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"gitlab.com/towline/towline/pkg/fault"
)

// push pushes new tags, all or none of them. It answers ErrTaken where one of
// them exists.
func (s *side) push(ctx context.Context, specs []string, tags map[string]string) error {
	if err := s.know(ctx); err != nil {
		return incomplete(s.remote, err)
	}
	g, done, err := s.git.withRemote(s.remote)
	if err != nil {
		return err
	}
	defer done()
	args := append([]string{"push", "--porcelain", "--atomic", "--no-verify", "origin"}, specs...)
	out, err := g.output(ctx, args...)
	switch {
	case err == nil && created(string(out)) == len(tags):
		return nil
	case err == nil:
		return ErrTaken // all of them were there, byte for byte
	case ctx.Err() != nil || exitCode(err) == 0:
		return err
	}
	return s.refused(ctx, string(out), err, tags)
}

// created counts the tags that a push has made.
func created(report string) int {
	count := 0
	for line := range strings.Lines(report) {
		if strings.HasPrefix(line, "*\t") {
			count++
		}
	}
	return count
}

// refused finds out why a push was. After a connection that broke, the remote
// may have the tags nevertheless.
func (s *side) refused(ctx context.Context, report string, err error, tags map[string]string) error {
	if strings.Contains(report, "exists; cannot create") || complains(err, "exists; cannot create") {
		return fault.Newf(fault.Repository, "push a tag to %s: %w", s.remote.url, errors.Join(err, reported(report))).
			Hintf("a tag has the name of the folder that the component's tags lie in: delete or rename it")
	}
	if strings.Contains(report, "unpacker error") || complains(err, "did not receive expected object") {
		return fault.Newf(fault.Missing, "push a tag to %s: it does not have the commit: %w", s.remote.url, errors.Join(err, reported(report))).
			Hintf("push the branch first: git push")
	}
	for _, words := range []string{
		"already exists", "reference already exists", "cannot lock ref", "failed to update ref", "fetch first",
		"atomic transaction failed", "failed to lock", "incorrect old value",
	} {
		if strings.Contains(report, words) || complains(err, words) {
			return ErrTaken
		}
	}
	if strings.Contains(report, "hook declined") || denied(err) || complains(err, "protected tag", "not authorized") {
		return fault.Newf(fault.Denied, "push a tag to %s: %w", s.remote.url, errors.Join(err, reported(report))).
			Hintf("allow the job token to push (Settings, CI/CD, Job token permissions: Allow Git push requests), " +
				"let its user create protected tags, or use: towline tag --through releases-api")
	}
	if s.arrived(ctx, tags) {
		return nil
	}
	return fault.Newf(fault.Remote, "push a tag to %s: %w", s.remote.url, errors.Join(err, reported(report))).
		Hintf("run the job again: without the tag nothing is released")
}

// reported is the line of a push's report that tells of a refusal, as an error.
func reported(report string) error {
	for line := range strings.Lines(report) {
		if strings.HasPrefix(line, "!\t") {
			return errors.New(strings.TrimSpace(line[2:]))
		}
	}
	return nil
}

// arrived asks the remote whether it has these very tags.
func (s *side) arrived(ctx context.Context, tags map[string]string) bool {
	g, done, err := s.git.withRemote(s.remote)
	if err != nil {
		return false
	}
	defer done()
	args := []string{"ls-remote", "origin"}
	for name := range tags {
		args = append(args, "refs/tags/"+name)
	}
	out, err := g.output(ctx, args...)
	if err != nil {
		return false
	}
	found := 0
	for line := range strings.Lines(string(out)) {
		object, ref, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if tags[strings.TrimPrefix(ref, "refs/tags/")] == object {
			found++
		}
	}
	return found == len(tags)
}

// know fetches the remote's branches where git is too old to find out by
// itself which commits the remote has: it would want to send it all of them.
func (s *side) know(ctx context.Context) error {
	out, err := s.git.output(ctx, "version")
	if err != nil || !olderThan(string(out), 2, 32) {
		return err
	}
	return s.fetch(ctx, "+refs/heads/*:refs/x/heads/*")
}

var gitVersion = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(\d+)\.(\d+)`) })

// olderThan reads the answer of git version.
func olderThan(answer string, major, minor int) bool {
	found := gitVersion().FindStringSubmatch(answer)
	if found == nil {
		return true
	}
	a, errA := strconv.Atoi(found[1])
	b, errB := strconv.Atoi(found[2])
	return errA != nil || errB != nil || a < major || a == major && b < minor
}

// adopt writes the tags into a complete checkout, which will be asked for them
// next time. They are released already: where that fails, a fetch brings them.
func (r *Repo) adopt(ctx context.Context, s *side, tags map[string]string) {
	if r.shallow {
		return
	}
	for name, object := range tags {
		text, err := s.git.output(ctx, "cat-file", "tag", object)
		if err == nil {
			_, err = r.git.pipe(ctx, strings.NewReader(string(text)), "mktag")
		}
		if err == nil {
			_, err = r.git.output(ctx, "update-ref", "refs/tags/"+name, object, "")
		}
		if err != nil {
			r.o.Log.Warn("the tag is pushed, but not in this clone: fetch it", "tag", name, "because", err)
		}
	}
}
