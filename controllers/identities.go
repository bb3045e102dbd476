package controllers

import (
	"fmt"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/internal/expiring"
)

const (
	// toldFor and maxTold bound for how long it is known of how many identities what those who use them were woken for.
	toldFor = 7 * 24 * time.Hour
	maxTold = 4096
)

// told are identities of the cluster's credentials as they were when those that use them were woken last: thousands of targets, which a change
// of metadata that nothing is made from does not concern.
type told struct {
	last *expiring.Map[client.ObjectKey, string]
}

func newTold(c clock.PassiveClock) told {
	return told{expiring.New[client.ObjectKey, string](c, toldFor, maxTold)}
}

// of says whether all who use the identity were told of this content.
func (t told) of(identity client.ObjectKey, content string) bool {
	last, known := t.last.Get(identity)
	return known && content != "" && last == content
}

// note takes note that they were.
func (t told) note(identity client.ObjectKey, content string) { t.last.Put(identity, content) }

// contentOf stands for what tokens are made from that a ServiceAccount asks for. Of its annotations those are held that providers read, and ours.
func contentOf(sa *corev1.ServiceAccount) string {
	read := maps.Clone(sa.Annotations)
	maps.DeleteFunc(read, func(key, _ string) bool {
		return strings.HasPrefix(key, v1alpha1.AnnotationLinkPrefix) || key == credential.AnnotationCut || key == credential.AnnotationCrowded
	})
	return fmt.Sprintf("%s %q", sa.UID, read) // in the order of the keys
}
