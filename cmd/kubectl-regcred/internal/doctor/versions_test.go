package doctor

import (
	"strings"
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

func TestDefinitionsAreCompared(t *testing.T) {
	for _, c := range []struct {
		defined, image string
		state          check.State
		says           string
	}{
		{"v1.2.0", "regcred:v1.2.3", check.Good, ""},
		{"", "regcred:v1.2.3", check.Good, ""},
		{"v1.1.9", "regcred:v1.2.3", check.Bad, "the CRDs are of v1.1.9 and the controller of v1.2.3: the API server drops fields"},
		{"v1.3.0", "regcred:v1.2.3", check.Note, "the CRDs are of v1.3.0 and the controller of v1.2.3, which does not heed fields"},
		{"v1.1.9", "regcred", check.Bad, "the CRDs are of v1.1.9 and the plugin of v1.2.0: the API server drops fields"},
	} {
		d := &doctor{version: "v1.2.0", defined: c.defined, report: &Report{}}
		d.compare(c.image)
		last := d.report.Checks[len(d.report.Checks)-1]
		if last.State != c.state || !strings.HasPrefix(last.Text, c.says) {
			t.Errorf("CRDs of %s with %s: %+v, want %s: %s", c.defined, c.image, last, c.state, c.says)
		}
	}
}
