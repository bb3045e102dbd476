package migrate

import (
	"errors"
	"fmt"
	"strings"
)

// chooseCronJob is the one that is meant.
func chooseCronJob(f *findings, args []string) (Found, error) {
	var all []Found
	var names []string
	for _, t := range f.tools {
		if t.Kind == "CronJob" && (len(args) == 0 || t.Name == args[0]) {
			all, names = append(all, t), append(names, t.Namespace+"/"+t.Name)
		}
	}
	switch len(all) {
	case 1:
		return all[0], nil
	case 0:
		return Found{}, errors.New("no such CronJob renews pull Secrets: kubectl regcred migrate shows what was found")
	}
	return Found{}, fmt.Errorf("several CronJobs renew pull Secrets: name one, with -n (%s)", strings.Join(names, ", "))
}

// rivals are what would go on writing the Secrets, or whose own would be taken over, if the CronJob alone is stopped. Which of them writes which
// Secret, nobody can tell.
func (c *command) rivals(f *findings, job Found) (objections []string) {
	for _, t := range f.tools {
		if c.force || t.Suspended || !t.runs() || t.Kind == job.Kind && t.where() == job.where() {
			continue
		}
		objections = append(objections, fmt.Sprintf("%s %s renews pull Secrets, too, and would go on: take over one namespace at a time (-n), or follow the steps that kubectl regcred migrate prints for both; --force goes on all the same",
			t.Kind, t.where()))
	}
	return objections
}
