package manifest

import "time"

// Lint is how the repository is checked.
type Lint struct {
	Profile string              `yaml:"profile,omitempty" json:"profile,omitempty"` // how strict the rules are; none: detected from environments and pipeline
	FailOn  string              `yaml:"fail_on,omitempty" json:"fail_on,omitempty"` // findings of this severity and above are an error; none: major, and blocker in the profile prototype
	Exclude []string            `yaml:"exclude,omitempty" json:"exclude,omitempty"` // files and folders that are not looked at, as patterns of .gitignore
	Rules   map[string]LintRule `yaml:"rules,omitempty" json:"rules,omitempty"`     // what differs for one rule: TL101, pylint:unused-import or ruff:F401; pylint and ruff stand for all of a tool's rules
	Tools   LintTools           `yaml:"tools,omitempty" json:"tools,omitzero"`      // further linters, whose findings are merged in
}

// LintRule is what differs for one rule.
type LintRule struct {
	Severity string   `yaml:"severity,omitempty" json:"severity,omitempty"` // instead of the rule's own; off switches it off
	Exclude  []string `yaml:"exclude,omitempty" json:"exclude,omitempty"`   // files and folders where it is not looked for, as patterns of .gitignore
}

// LintTools says which other linters are run: auto if they are installed,
// required if their absence is an error, off never.
type LintTools struct {
	Pylint string `yaml:"pylint,omitempty" json:"pylint,omitempty"` // auto: run if it is installed; required: its absence is an error; off: never run
	Ruff   string `yaml:"ruff,omitempty" json:"ruff,omitempty"`     // auto: run if it is installed; required: its absence is an error; off: never run

	Timeout Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"` // a tool that has not ended after this long is stopped, which is an error
}

func lintKeys() map[string]Key {
	severities := []string{"info", "minor", "major", "critical", "blocker"}
	tool := Key{Default: "auto", OneOf: []string{"auto", "required", "off"}}
	return map[string]Key{
		"profile":          {OneOf: []string{"prototype", "team", "production"}},
		"fail_on":          {OneOf: severities},
		"exclude":          {Unique: true, Length: 512, Most: 1000},
		"rules.*.severity": {OneOf: append([]string{"off"}, severities...)},
		"rules.*.exclude":  {Unique: true, Length: 512, Most: 1000},
		"tools.pylint":     tool,
		"tools.ruff":       tool,
		"tools.timeout":    {Default: "15m", Shortest: time.Second, Longest: 6 * time.Hour},
		"rules": {
			Most:     1000,
			Names:    `^(TL[1-9][0-9][0-9]|pylint(:[a-z0-9-]+)?|ruff(:[A-Z]+[0-9]+)?)$`,
			NameRule: "a rule such as TL101, pylint:unused-import or ruff:F401", NameLength: 100,
		},
	}
}
