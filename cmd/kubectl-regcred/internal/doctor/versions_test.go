package doctor

import (
	"testing"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/check"
)

func TestVersionsAreCompared(t *testing.T) {
	for _, c := range []struct {
		plugin, image string
		state         check.State
		says          string
	}{
		{"v1.2.0", "ghcr.io/regcred/regcred:v1.2.3", check.Good, "the plugin and the controller are both of v1.2"},
		{"v1.2.0", "mirror.example:5000/regcred:1.2.0@sha256:00", check.Good, "the plugin and the controller are both of v1.2"},
		{"v1.2.0", "ghcr.io/regcred/regcred:v1.1.9", check.Note, "the plugin is of v1.2.0 and the controller of v1.1.9: the controller is older, upgrade it"},
		{"v1.2.0", "ghcr.io/regcred/regcred:v2.2.0", check.Note, "the plugin is of v1.2.0 and the controller of v2.2.0: the plugin is older, install that of v2.2.0"},
		{"dev", "ghcr.io/regcred/regcred:v1.1.9", check.Note, "the plugin's version, dev, is not compared with the controller's, v1.1.9"},
		{"v1.2.0", "mirror.example:5000/regcred", check.Note, "the image mirror.example:5000/regcred does not say the controller's version, so that it is not compared with the plugin's"},
	} {
		d := &doctor{version: c.plugin, report: &Report{}}
		d.compare(c.image)
		if got := d.report.Checks; len(got) != 1 || got[0].State != c.state || got[0].Text != c.says {
			t.Errorf("%s with %s: %+v, want %s: %s", c.plugin, c.image, got, c.state, c.says)
		}
	}
}
