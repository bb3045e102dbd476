package doctor

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/check"
)

// compare tells of a controller that is of another minor version than the plugin or the definitions: what the plugin says of it may be wrong
// then, and the API server drops fields that the definitions do not know.
func (d *doctor) compare(image string) {
	controller := tagOf(image)
	switch {
	case !known(controller):
		d.add("versions", check.Note, "the image %s does not say the controller's version, so that it is not compared with the plugin's", image)
	case !known(d.version):
		d.add("versions", check.Note, "the plugin's version, %s, is not compared with the controller's, %s", d.version, controller)
	case minor(controller) == minor(d.version):
		d.add("versions", check.Good, "the plugin and the controller are both of %s", minor(d.version))
	default:
		which, change := "controller", "upgrade it"
		if older(d.version, controller) {
			which, change = "plugin", fmt.Sprintf("install that of %s", controller)
		}
		d.add("versions", check.Note, "the plugin is of %s and the controller of %s: the %s is older, %s", d.version, controller, which, change)
	}
	if known(controller) {
		d.compareDefinitions("controller", controller)
	} else {
		d.compareDefinitions("plugin", d.version)
	}
}

// compareDefinitions tells of definitions that are of another minor version than who works with them.
func (d *doctor) compareDefinitions(who, of string) {
	switch {
	case !known(of), !known(d.defined), minor(of) == minor(d.defined):
	case older(d.defined, of):
		d.add("versions", check.Bad, "the CRDs are of %s and the %s of %s: the API server drops fields that they do not know; helm upgrade does not upgrade CRDs, so apply those of %s",
			d.defined, who, of, of)
	default:
		d.add("versions", check.Note, "the CRDs are of %s and the %s of %s, which does not heed fields that it does not know: upgrade the %s", d.defined, who, of, who)
	}
}

func known(text string) bool {
	_, err := version.ParseSemantic(text)
	return err == nil
}

// minor is a version without what changes nothing that others see.
func minor(text string) string {
	v := version.MustParseSemantic(text)
	return fmt.Sprintf("v%d.%d", v.Major(), v.Minor())
}

// older says whether a version comes before another; what is no version comes first.
func older(text, than string) bool {
	return known(than) && (!known(text) || version.MustParseSemantic(text).LessThan(version.MustParseSemantic(than)))
}

// tagOf is the tag of an image; empty if it has none.
func tagOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	_, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return tag
}
