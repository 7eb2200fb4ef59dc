package release

import (
	"fmt"
	"slices"
	"strings"
)

// weighed is a commit with what its message says, and why it may not count.
type weighed struct {
	Commit
	message Message
	dropped string // why it counts for nothing; "" if it counts
}

// weigh reads the messages of all commits since the base, and drops the pairs
// of a commit and the one that takes it back.
func weigh(commits []Commit) []weighed {
	all := make([]weighed, len(commits))
	byHash := map[string]int{}
	for i, commit := range commits {
		all[i] = weighed{Commit: commit, message: ParseMessage(commit.Message)}
		if all[i].message.Ignored != "" {
			all[i].dropped = all[i].message.Ignored + " does not count"
		}
		byHash[commit.Hash] = i
	}
	// Newest first: a revert that was itself taken back takes nothing back.
	for i := range all {
		if all[i].message.Revert && all[i].dropped == "" {
			takeBack(all, byHash, i)
		}
	}
	return all
}

// takeBack drops what the commit at index i reverts, and with it the revert
// itself if all it reverts lies after the base.
func takeBack(all []weighed, byHash map[string]int, i int) {
	inside := 0
	for _, hash := range all[i].message.Reverted {
		target, ok := find(all, byHash, hash)
		if !ok || target <= i {
			continue
		}
		inside++
		for _, j := range undone(all, byHash, target) {
			if all[j].dropped == "" {
				all[j].dropped = "taken back by " + short(all[i].Hash)
			}
		}
	}
	if inside > 0 && inside == len(all[i].message.Reverted) {
		all[i].dropped = "takes back a commit since the base: both drop out"
	}
}

// find is the commit that a full or abbreviated hash means.
func find(all []weighed, byHash map[string]int, hash string) (int, bool) {
	if i, ok := byHash[hash]; ok {
		return i, true
	}
	for i := range all {
		if strings.HasPrefix(all[i].Hash, hash) {
			return i, true
		}
	}
	return 0, false
}

// undone are the commits that are taken back with the one at target: itself,
// and for a merge also all that it brought in.
func undone(all []weighed, byHash map[string]int, target int) []int {
	list := []int{target}
	if !all[target].Merge() {
		return list
	}
	kept := reachable(all, byHash, all[target].Parents[:1])
	for i := range reachable(all, byHash, all[target].Parents[1:]) {
		if !kept[i] {
			list = append(list, i)
		}
	}
	return list
}

// reachable are the commits since the base that the given ones build on, and themselves.
func reachable(all []weighed, byHash map[string]int, from []string) map[int]bool {
	seen := map[int]bool{}
	from = slices.Clone(from) // it is a part of a commit
	for len(from) > 0 {
		hash := from[len(from)-1]
		from = from[:len(from)-1]
		i, ok := byHash[hash]
		if !ok || seen[i] {
			continue
		}
		seen[i] = true
		from = append(from, all[i].Parents...)
	}
	return seen
}

// reasons are what the commit asks for, one for each header it has.
func (w weighed) reasons(c Component) []Reason {
	plain := Reason{Commit: w.Hash, Header: w.message.Subject, Bump: None.String()}
	switch {
	case w.dropped != "":
		plain.Text = w.dropped
		return []Reason{plain}
	case w.message.Revert:
		return []Reason{w.takesBack(plain, c)}
	case len(w.message.Headers) == 0 && w.message.Breaking != "":
		return []Reason{breaks(plain, w.message.Breaking)}
	case len(w.message.Headers) == 0:
		plain.Text = "no conventional header, asks for nothing"
		return []Reason{plain}
	}
	var list []Reason
	for _, h := range w.message.Headers {
		r := plain
		r.Header, r.Type, r.Scope = h.String(), h.Type, h.Scope
		bump := c.bumpOf(h.Type)
		r.Bump, r.Text = bump.String(), fmt.Sprintf("%s asks for %s", h.Type, bump)
		list = append(list, r)
	}
	if w.message.Breaking != "" {
		list[0] = breaks(list[0], w.message.Breaking)
	}
	return list
}

func breaks(r Reason, what string) Reason {
	r.Breaking, r.Bump = what, Major.String()
	r.Text = "a breaking change asks for major"
	return r
}

// takesBack is the reason of a revert whose commit lies before the base.
func (w weighed) takesBack(r Reason, c Component) Reason {
	r.Type = "revert"
	if w.message.Breaking != "" {
		return breaks(r, w.message.Breaking)
	}
	r.Bump = c.bumpOf("revert").String()
	r.Text = "takes back what was released before, asks for " + r.Bump
	return r
}

// warning is what a reader should know of the commit besides its reason.
func (w weighed) warning() string {
	if w.dropped != "" || !w.message.Revert || w.message.Undone.Type != "feat" {
		return ""
	}
	return fmt.Sprintf("%s takes back a feature that was released (%s); say BREAKING CHANGE if users relied on it",
		short(w.Hash), w.message.Undone.Text)
}

// String is the header as it stands in a message.
func (h Header) String() string {
	text := h.Type
	if h.Scope != "" {
		text += "(" + h.Scope + ")"
	}
	if h.Breaking {
		text += "!"
	}
	return text + ": " + h.Text
}

// short is an abbreviated hash for people to read.
func short(hash string) string {
	if len(hash) > 8 {
		return hash[:8]
	}
	return hash
}
