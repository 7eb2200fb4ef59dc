package cli

import (
	"strconv"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// cacheSizeName is the variable that limits the cache of dependency layers.
const cacheSizeName = "TOWLINE_CACHE_SIZE"

// defaultCacheSize is how many bytes of dependency layers are kept.
const defaultCacheSize = 10_000_000_000

// cacheUnits are what a size may end with, the longest first.
var cacheUnits = []struct {
	name  string
	bytes int64
}{{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"", 1}}

// cacheSize is the limit of the cached dependency layers in bytes; 0 is none.
func (a *app) cacheSize() (int64, error) {
	text := strings.TrimSpace(a.getenv(cacheSizeName))
	if text == "" {
		return defaultCacheSize, nil
	}
	for _, unit := range cacheUnits {
		number, ok := strings.CutSuffix(text, unit.name)
		if !ok {
			continue
		}
		size, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err == nil && size >= 0 && size <= 1<<62/unit.bytes {
			return size * unit.bytes, nil
		}
		break
	}
	return 0, fault.Newf(fault.Usage, "%s=%s: wanted a size such as 500MB or 20GB, or 0 for no limit", cacheSizeName, text).
		Hintf("correct %s, or unset it for 10GB", cacheSizeName)
}
