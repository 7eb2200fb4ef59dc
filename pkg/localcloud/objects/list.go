package objects

import (
	"sort"
	"strings"
)

// query is one page of a listing.
type query struct {
	prefix    string
	delimiter string
	after     string // a key, or a common prefix whose keys are all skipped
	max       int    // -1 for all
}

// page is what a query finds. Keys that share the text up to the delimiter are
// rolled up into one prefix.
type page struct {
	entries  []entry
	prefixes []string
	last     string // to go on after; "" if that was all
}

func (b *bucket) page(q query) page {
	b.mu.Lock()
	defer b.mu.Unlock()
	keys := b.sorted()
	i := sort.SearchStrings(keys, q.prefix)
	if q.after != "" {
		i = max(i, next(keys, q.after, q.delimiter))
	}
	var p page
	var last string
	for i < len(keys) && strings.HasPrefix(keys[i], q.prefix) {
		if len(p.entries)+len(p.prefixes) == q.max {
			p.last = last
			return p
		}
		rolled, common := rollUp(keys[i], q)
		if common {
			p.prefixes, last = append(p.prefixes, rolled), rolled
			i = beyond(keys, rolled)
			continue
		}
		p.entries, last = append(p.entries, b.entries[keys[i]]), keys[i]
		i++
	}
	return p
}

// rollUp gives the common prefix that stands for a key, if one does.
func rollUp(key string, q query) (string, bool) {
	if q.delimiter == "" {
		return "", false
	}
	at := strings.Index(key[len(q.prefix):], q.delimiter)
	if at < 0 {
		return "", false
	}
	return key[:len(q.prefix)+at+len(q.delimiter)], true
}

// next is the index of the first key after a marker.
func next(keys []string, after, delimiter string) int {
	if delimiter != "" && strings.HasSuffix(after, delimiter) {
		return beyond(keys, after)
	}
	return sort.Search(len(keys), func(i int) bool { return keys[i] > after })
}

// beyond is the index of the first key that comes after all that begin with prefix.
func beyond(keys []string, prefix string) int {
	return sort.Search(len(keys), func(i int) bool {
		return keys[i] > prefix && !strings.HasPrefix(keys[i], prefix)
	})
}
