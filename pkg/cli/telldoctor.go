package cli

import (
	"fmt"
	"io"
	"strings"

	"gitlab.com/towline/towline/pkg/doctor"
)

// tellChecked tells what a look around found.
func (a *app) tellChecked(checks []doctor.Check) error {
	if a.output == "json" {
		return a.printJSON(struct {
			Checks []doctor.Check       `json:"checks"`
			Count  map[doctor.State]int `json:"count"`
		}{checks, countStates(checks)})
	}
	group := ""
	for _, check := range checks {
		if check.Group != group {
			group = check.Group
			fmt.Fprintln(a.stdout, group)
		}
		tellCheck(a.stdout, check)
	}
	count := countStates(checks)
	warnings := "warnings"
	if count[doctor.Warning] == 1 {
		warnings = "warning"
	}
	_, err := fmt.Fprintf(a.stdout, "%d ok, %d %s, %d failed, %d not checked\n",
		count[doctor.OK], count[doctor.Warning], warnings, count[doctor.Failed], count[doctor.NotChecked])
	return err
}

func countStates(checks []doctor.Check) map[doctor.State]int {
	count := map[doctor.State]int{doctor.OK: 0, doctor.Warning: 0, doctor.Failed: 0, doctor.NotChecked: 0}
	for _, check := range checks {
		count[check.State]++
	}
	return count
}

// tellCheck prints one check, and below it what to change. A policy stands on
// a line of its own, to be copied.
func tellCheck(w io.Writer, c doctor.Check) {
	fmt.Fprintf(w, "  %-12s %-20s %s\n", c.State, c.Name, strings.ReplaceAll(c.Found, "\n", " "))
	if c.State == doctor.OK {
		return
	}
	if c.Setting != "" {
		fmt.Fprintf(w, "  %12s set: %s\n", "", c.Setting)
	}
	if len(c.Paste) > 0 {
		fmt.Fprintf(w, "  %12s %s\n", "", c.Paste)
	}
}
