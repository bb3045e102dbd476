package view

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/pullsecret"
)

// Anybody may label a Secret as ours, and hang 256 KiB of annotations on it.
func TestFatSecretsTakeNoMemory(t *testing.T) {
	held := func(transform func(any) (any, error)) int {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var all []any
		for i := range 200 {
			m := SecretMetadata()
			m.Namespace, m.Name = "a", fmt.Sprintf("fat-%d", i)
			m.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretTarget, fmt.Sprintf("theirs-%d", i): "x"}
			m.Annotations = map[string]string{"fat": strings.Repeat(string(rune('a'+i%26)), 150<<10), pullsecret.AnnotationRegistries: strings.Repeat("[", 50<<10)}
			m.Finalizers = []string{strings.Repeat("f", 1<<10)}
			m.OwnerReferences = []metav1.OwnerReference{{Kind: strings.Repeat("k", 10<<10), Controller: new(true)}, {Kind: "Pod"}}
			o, err := transform(m)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, o)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(all)
		return int(after.HeapAlloc) - int(before.HeapAlloc)
	}
	whole := held(func(o any) (any, error) { return o, nil })
	trimmed := held((&transforms{}).secret)
	t.Logf("200 Secrets take %d KiB, and %d KiB as they are held", whole>>10, trimmed>>10)
	if whole < 30<<20 || trimmed > 1<<20 {
		t.Errorf("200 fat Secrets take %d bytes of memory, instead of %d", trimmed, whole)
	}
}
