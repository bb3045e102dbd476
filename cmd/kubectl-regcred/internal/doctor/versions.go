package doctor

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/check"
)

// compare tells of a controller that is of another minor version than the plugin: what the plugin says of it may be wrong then.
func (d *doctor) compare(image string) {
	controller := tagOf(image)
	theirs, err := version.ParseSemantic(controller)
	mine, mistake := version.ParseSemantic(d.version)
	switch {
	case err != nil:
		d.add("versions", check.Note, "the image %s does not say the controller's version, so that it is not compared with the plugin's", image)
	case mistake != nil:
		d.add("versions", check.Note, "the plugin's version, %s, is not compared with the controller's, %s", d.version, controller)
	case theirs.Major() == mine.Major() && theirs.Minor() == mine.Minor():
		d.add("versions", check.Good, "the plugin and the controller are both of v%d.%d", mine.Major(), mine.Minor())
	default:
		older, change := "controller", "upgrade it"
		if mine.LessThan(theirs) {
			older, change = "plugin", fmt.Sprintf("install that of %s", controller)
		}
		d.add("versions", check.Note, "the plugin is of %s and the controller of %s: the %s is older, %s", d.version, controller, older, change)
	}
}

// tagOf is the tag of an image; empty if it has none.
func tagOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	_, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return tag
}
