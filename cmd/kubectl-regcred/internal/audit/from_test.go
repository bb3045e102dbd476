package audit

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const secretItem = `{apiVersion: v1, kind: Secret, metadata: {name: a}, type: kubernetes.io/dockerconfigjson, stringData: {.dockerconfigjson: '{"auths":{}}'}}`

// Of a list whose items are bad the good ones are read, and each bad one is named.
func TestNoItemOfAListVanishes(t *testing.T) {
	for name, text := range map[string]string{
		"List":       "apiVersion: v1\nkind: List\nitems:\n- " + secretItem + "\n- {apiVersion: v1, kind: Secret, metadata: {name: b}, data: 1}\n",
		"SecretList": "apiVersion: v1\nkind: SecretList\nitems:\n- " + strings.ReplaceAll(secretItem, "apiVersion: v1, kind: Secret, ", "") + "\n- {metadata: {name: b}, data: 1}\n",
	} {
		i, gaps, err := readFrom("-", strings.NewReader(text))
		if err != nil || len(i.secrets) != 1 || len(gaps.NotRead) != 1 || gaps.NotRead[0] != "not read: item 2 of document 1 of stdin is no valid Secret" {
			t.Errorf("%s: %d Secrets, %q, %v", name, len(i.secrets), gaps, err)
		}
	}
}

// Where there is nothing to read, nothing is clean.
func TestNoManifestIsSaid(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "values.yaml"), []byte("replicas: 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "broken.yaml")); err != nil {
		t.Fatal(err)
	}
	_, gaps, err := readFrom(dir, nil)
	if err != nil || len(gaps.NotRead) != 2 || !strings.Contains(gaps.NotRead[0], "broken.yaml") || gaps.NotRead[1] != "not read: there is no manifest in "+dir {
		t.Errorf("%q, %v", gaps, err)
	}
	if len(gaps.Skipped) != 1 || gaps.Skipped[0] != "skipped: document 1 of "+dir+"/values.yaml names no kind" {
		t.Errorf("what is no object is not named: %q", gaps.Skipped)
	}
	if _, gaps, err = readFrom("-", strings.NewReader("")); err != nil || len(gaps.NotRead) != 1 || gaps.NotRead[0] != "not read: there is no manifest in stdin" {
		t.Errorf("%q, %v", gaps, err)
	}
	if _, gaps, err = readFrom("-", strings.NewReader("apiVersion: example.com/v7\nkind: Odd\n---\nkind: Secret\ndata: {}\n")); err != nil || len(gaps.NotRead) > 0 ||
		len(gaps.Skipped) != 1 || gaps.Skipped[0] != "skipped: document 2 of stdin names no apiVersion" {
		t.Errorf("a kind that does not matter, and one without a version: %q, %v", gaps, err)
	}
	if _, _, err = readFrom("/no/such/file", nil); err == nil || !strings.HasPrefix(err.Error(), "reading manifests: ") {
		t.Errorf("%v", err)
	}
}

func podOf(name, hash, owner, image string) string {
	return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", namespace: a, labels: {pod-template-hash: " + hash + "}, ownerReferences: [{apiVersion: v1, " + owner +
		", uid: u, controller: true}]}\nstatus: {phase: Running}\nspec: {imagePullSecrets: [{name: gone}], containers: [{name: c, image: " + image + "}]}\n"
}

// Replicas are one workload, and what is found of them is the same after a rollout.
func TestPodsCountForTheirMaker(t *testing.T) {
	const image, sidecar = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app", "ghcr.io/acme/sidecar"
	rest := "---\n" + secretItem + `
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: a}
spec: {template: {spec: {imagePullSecrets: [{name: gone}], containers: [{name: c, image: ` + image + `}]}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: nightly-2893, namespace: a, ownerReferences: [{apiVersion: batch/v1, kind: CronJob, name: nightly, uid: u, controller: true}]}
spec: {template: {spec: {containers: [{name: c, image: nginx}]}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: default, namespace: a}
`
	fingerprints := func(hash string) string {
		pods := podOf("web-"+hash+"-1", hash, "kind: ReplicaSet, name: web-"+hash, image) + podOf("web-"+hash+"-2", hash, "kind: ReplicaSet, name: web-"+hash, sidecar) +
			podOf("other-"+hash+"-1", hash, "kind: ReplicaSet, name: other-"+hash, image) + podOf("nightly-2893-"+hash, hash, "kind: Job, name: nightly-2893", image) +
			podOf("kube-proxy-node1", hash, "kind: Node, name: node1", image)
		i, gaps, err := readFrom("-", strings.NewReader(pods+rest))
		if err != nil || len(gaps.NotRead)+len(gaps.Skipped) > 0 {
			t.Fatal(gaps, err)
		}
		for _, w := range i.workloads {
			if w.name == "web" && len(w.images) != 2 {
				t.Errorf("the image that admission has added is lost: %q", w.images)
			}
		}
		a := &auditor{inventory: i, now: time.Now(), private: true}
		var all []string
		for _, f := range a.audit() {
			if f.Kind != "Secret" {
				all = append(all, f.Code+" "+f.Kind+"/"+f.Name)
			}
		}
		return strings.Join(all, ", ")
	}
	want := "RC202 CronJob/nightly, RC202 Deployment/other, RC202 Deployment/web, RC202 Pod/kube-proxy-node1, RC501 CronJob/nightly, RC501 Deployment/other, RC501 Deployment/web, RC501 Pod/kube-proxy-node1"
	if first, second := fingerprints("5d9f"), fingerprints("7c4b"); first != want || second != want {
		t.Errorf("got\n%s\n%s, want\n%s", first, second, want)
	}
}

// A pod has its list of its ServiceAccount, of which it is told.
func TestWhatAPodInheritsIsToldOnce(t *testing.T) {
	i, _, err := readFrom("-", strings.NewReader(podOf("web-1", "h", "kind: Odd, name: web", "nginx")+"---\n"+secretItem+
		"\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, namespace: a}\nimagePullSecrets: [{name: gone}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	a := &auditor{inventory: i, now: time.Now()}
	for _, f := range a.audit() {
		if f.Code == SecretMissing.ID {
			t.Errorf("%+v", f)
		}
	}
}

// Pods of one maker that is not read have each their own list: one from before a change and one from after it are no pod with both.
func TestListsOfPodsAreNotJoined(t *testing.T) {
	const image = "ghcr.io/acme/app"
	var text strings.Builder
	for _, name := range []string{"first", "second"} {
		pod := podOf("web-"+name, "5d9f", "kind: ReplicaSet, name: web-5d9f", image)
		text.WriteString(strings.Replace(pod, "{name: gone}", "{name: "+name+"}", 1))
		auth := base64.StdEncoding.EncodeToString([]byte("u:" + name))
		text.WriteString("---\napiVersion: v1\nkind: Secret\nmetadata: {name: " + name + ", namespace: a}\ntype: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: '{\"auths\":{\"ghcr.io\":{\"auth\":\"" + auth + "\"}}}'}\n")
	}
	text.WriteString(strings.Replace(podOf("web-third", "5d9f", "kind: ReplicaSet, name: web-5d9f", "ghcr.io/acme/sidecar"), "{name: gone}", "{name: first}, {name: other}", 1))
	i, gaps, err := readFrom("-", strings.NewReader(text.String()))
	if err != nil || len(gaps.NotRead)+len(gaps.Skipped) > 0 {
		t.Fatal(gaps, err)
	}
	for _, s := range i.list() {
		if s.Used != 1 || s.Users[0] != "deployment/web" {
			t.Errorf("%+v", s)
		}
	}
	a := &auditor{inventory: i, now: time.Now()}
	var found []string
	for _, f := range a.audit() {
		found = append(found, f.Code+" "+f.Kind+"/"+f.Name+" "+f.Registry)
	}
	if want := []string{"RC202 Deployment/web other"}; !slices.Equal(found, want) {
		t.Errorf("%q, want %q", found, want)
	}
}
