package evidence

import (
	"strings"
)

// WheelHashes reads from a requirements file which wheel each pinned
// distribution was installed from: name@version → sha256. A distribution with
// several hashes is left out, for which one was taken is not known.
func WheelHashes(requirements string) map[string]string {
	found := map[string]string{}
	text := strings.ReplaceAll(strings.ReplaceAll(requirements, "\r\n", "\n"), "\\\n", " ")
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		name, version, pinned := strings.Cut(words[0], "==")
		name, _, _ = strings.Cut(name, "[")
		var hashes []string
		for _, word := range words[1:] {
			if hash, ok := strings.CutPrefix(word, "--hash=sha256:"); ok {
				hashes = append(hashes, strings.ToLower(hash))
			}
		}
		if pinned && len(hashes) == 1 && isHex(hashes[0]) {
			found[normal(name)+"@"+strings.TrimSuffix(version, ";")] = hashes[0]
		}
	}
	return found
}

// WithWheels adds the hashes of WheelHashes.
func WithWheels(list []Distribution, wheels map[string]string) []Distribution {
	known := make([]Distribution, 0, len(list))
	for _, d := range list {
		d.Wheel = wheels[normal(d.Name)+"@"+d.Version]
		known = append(known, d)
	}
	return known
}

func isHex(text string) bool {
	return len(text) == 64 && strings.Trim(text, "0123456789abcdef") == ""
}
