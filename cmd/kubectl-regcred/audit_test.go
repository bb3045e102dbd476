package main

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/google/go-cmp/cmp"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/audit"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/test/controlplane"
)

// faults are how many of each kind are in testdata/audit/faults.
var faults = map[string]int{
	"RC101": 9, "RC102": 5, "RC103": 5, "RC201": 5, "RC202": 6, "RC301": 4, "RC302": 3, "RC303": 3, "RC304": 5, "RC401": 2, "RC501": 7, "RC601": 9,
}

func codesOf(t *testing.T, r result) map[string]int {
	t.Helper()
	var report audit.Report
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
		t.Fatalf("%v: %+v", err, r)
	}
	found := map[string]int{}
	for _, f := range report.Findings {
		found[f.Code]++
	}
	return found
}

func TestAuditFindsEveryFaultOfManifests(t *testing.T) {
	seeded := 0
	for _, n := range faults {
		seeded += n
	}
	if seeded < 60 {
		t.Errorf("%d faults are seeded, want 60", seeded)
	}
	r := run(t, "audit", "--from", "testdata/audit/faults", "--node-provider=none", "-o", "json")
	if diff := cmp.Diff(faults, codesOf(t, r)); diff != "" || r.code != cli.Findings {
		t.Errorf("exit code %d (-want +got):\n%s", r.code, diff)
	}
	golden(t, "audit.txt", run(t, "audit", "--from", "testdata/audit/faults", "--node-provider=none").stdout)
}

func TestAuditFindsNothingOnTheCleanTwin(t *testing.T) {
	r := run(t, "audit", "--from", "testdata/audit/clean", "--node-provider=none", "--fail-on=info")
	if want := "20 pull Secrets, 0 findings\n"; r.stdout != want || r.code != cli.Fine {
		t.Errorf("%+v", r)
	}
	raw, err := os.ReadFile("testdata/audit/clean/all.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if piped := as(t, cp.Kubeconfig(), string(raw), "audit", "--from=-", "--node-provider=none", "--fail-on=info"); piped != r {
		t.Errorf("from stdin: %+v", piped)
	}
}

// seedAudit puts the manifests into the cluster. What only a cluster would refuse is not there: the API server parses the JSON of a Secret.
func seedAudit(t *testing.T) {
	t.Helper()
	seed(t, filepath.Join("audit", "faults", "all.yaml"))
}

func TestAuditFindsEveryFaultOfACluster(t *testing.T) {
	seedAudit(t)
	since := time.Now()
	r := run(t, "audit", "--node-provider=none", "-o", "json")
	if diff := cmp.Diff(faults, codesOf(t, r)); diff != "" || r.code != cli.Findings {
		t.Errorf("exit code %d (-want +got):\n%s", r.code, diff)
	}
	requests, err := cp.AuditRequests(since, func(r controlplane.AuditRequest) bool { return strings.HasPrefix(r.UserAgent, "kubectl-regcred/") })
	if err != nil || len(requests) != 10 {
		t.Errorf("%d requests, %v", len(requests), err)
	}
	for _, format := range []string{"table", "wide", "json", "yaml", "junit", "sarif"} {
		r := run(t, "audit", "-v=10", "-o", format)
		if shown := r.stdout + r.stderr; strings.Contains(shown, canary) || strings.Contains(shown, "YzRuNHJ5") || strings.Contains(shown, "\x1b") {
			t.Errorf("-o %s shows what it must not", format)
		}
	}
}

// What a cluster adds, such as the pods of Deployments, is no fault.
func TestAuditFindsNothingOnTheCleanTwinInACluster(t *testing.T) {
	const namespaces = 10
	for n := range namespaces {
		if err := admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("clean-%d", n)}}); err != nil {
			t.Fatal(err)
		}
	}
	seed(t, filepath.Join("audit", "clean", "all.yaml"))
	remove(t, &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "clean-9", Name: "has-ended"}}) // nobody here gives it a status
	replicas := pods{t, "clean-0"}
	for _, name := range []string{"app-5d9f-1", "app-5d9f-2"} {
		replicas.waits(name, ecrHost+"/team/app:1", "", func(p *corev1.Pod) {
			names("pull")(p)
			p.Labels = map[string]string{"pod-template-hash": "5d9f"}
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "app-5d9f", UID: "a", Controller: new(true)}}
		})
	}
	var found []audit.Finding
	for n := range namespaces {
		r := run(t, "audit", "-n", fmt.Sprintf("clean-%d", n), "--node-provider=none", "--fail-on=info", "-o", "json")
		var report audit.Report
		if err := json.Unmarshal([]byte(r.stdout), &report); err != nil || r.code != cli.Fine {
			t.Errorf("%v: %+v", err, r)
		}
		found = append(found, report.Findings...)
	}
	if len(found) > 0 {
		t.Errorf("%+v", found)
	}
}

// Who may read Secrets and not who uses them has not read enough.
func TestAuditWithoutTheRightToReadWorkloads(t *testing.T) {
	_, reader, err := cp.AddUser("secretsonly", nil)
	if err != nil {
		t.Fatal(err)
	}
	grant(t, "", "secretsonly", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"list"}})
	if r := as(t, reader, "", "audit", "--fail-on=never"); r.code != cli.Undecided || !strings.Contains(r.stdout, "not read: pods") {
		t.Errorf("%+v", r)
	}
}

func TestAuditWithoutTheRightToReadSecrets(t *testing.T) {
	seedAudit(t)
	_, reader, err := cp.AddUser("auditless", nil)
	if err != nil {
		t.Fatal(err)
	}
	grant(t, "", "auditless", rbacv1.PolicyRule{APIGroups: []string{"", "apps"}, Resources: []string{"pods", "serviceaccounts", "deployments", "daemonsets"}, Verbs: []string{"list"}})
	r := as(t, reader, "", "audit")
	if r.code != cli.Undecided || !strings.Contains(r.stdout, "not read: secrets in all namespaces") || !strings.Contains(r.stdout, "not read: cronjobs") {
		t.Errorf("%+v", r)
	}
	if strings.Contains(r.stdout, "RC2") {
		t.Errorf("what was not read is called missing:\n%s", r.stdout)
	}
}

func TestAuditTellsOnlyWhatIsNew(t *testing.T) {
	from := []string{"audit", "--from", "testdata/audit/faults", "--node-provider=none", "-o", "json"}
	path := filepath.Join(t.TempDir(), "baseline.json")
	run(t, append(from, "--write-baseline", path)...)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	if r := run(t, append(from, "--baseline", path)...); r.code != cli.Fine || len(codesOf(t, r)) > 0 {
		t.Errorf("%+v", r)
	}
	if r := run(t, append(from, "--write-baseline", path)...); r.code != cli.Failure || !strings.Contains(r.stderr, "--force replaces it") {
		t.Errorf("%+v", r)
	}
	r := run(t, append(from, "--ignore=RC101,RC102:audit-b,LoginsDiffer:audit-a/differs-1")...)
	want := maps.Clone(faults)
	delete(want, "RC101")
	want["RC304"]--
	if diff := cmp.Diff(want, codesOf(t, r)); diff != "" {
		t.Errorf("--ignore (-want +got):\n%s", diff)
	}
	if r := run(t, append(from, "--ignore=RC999")...); r.code != cli.Failure {
		t.Errorf("%+v", r)
	}
	if err := os.WriteFile(path, []byte(`{"findings":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := run(t, append(from, "--baseline", path)...); r.code != cli.Failure || !strings.Contains(r.stderr, "is no baseline") {
		t.Errorf("any JSON: %+v", r)
	}
	if r := run(t, "audit", "--from", "testdata/audit/faults", "--ignore=RC101"); !strings.Contains(r.stdout, ", 9 known or ignored\n") {
		t.Errorf("%s", r.stdout)
	}
}

func TestAuditFailsOnTheSeverityThatIsAskedFor(t *testing.T) {
	warnings := `{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"a","namespace":"b"},"imagePullSecrets":[{"name":"gone"}]}
---
{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","namespace":"b"}}`
	for severity, want := range map[string]int{"info": cli.Findings, "warning": cli.Findings, "error": cli.Fine, "never": cli.Fine, "bad": cli.Failure} {
		if r := as(t, cp.Kubeconfig(), warnings, "audit", "--from=-", "--fail-on="+severity); r.code != want {
			t.Errorf("--fail-on=%s: %+v", severity, r)
		}
	}
}

func TestAuditReadsWhatItCanOfBadInput(t *testing.T) {
	r := as(t, cp.Kubeconfig(), "kind: Secret\napiVersion: v1\ndata: 1\n---\nkind: ServiceAccount\napiVersion: v1\nmetadata: {name: a}\n---\n\t{", "audit", "--from=-")
	if r.code != cli.Undecided || !strings.Contains(r.stdout, "not read: document 1 of stdin is no valid Secret") || !strings.Contains(r.stdout, "from document 3 on cannot be parsed") {
		t.Errorf("%+v", r)
	}
	if r := run(t, "audit", "--from=/no/such/file"); r.code != cli.Failure || !strings.HasPrefix(r.stderr, "error: reading manifests: ") {
		t.Errorf("%+v", r)
	}
	if r := as(t, cp.Kubeconfig(), "", "audit", "--from=-"); r.code != cli.Undecided || !strings.Contains(r.stdout, "there is no manifest in stdin") {
		t.Errorf("nothing: %+v", r)
	}
}

func TestAuditForOtherPrograms(t *testing.T) {
	from := []string{"audit", "--from", "testdata/audit/faults", "--node-provider=none", "-o"}
	var suites struct {
		Suites []struct {
			Failures int `xml:"failures,attr"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(run(t, append(from, "junit")...).stdout), &suites); err != nil || len(suites.Suites) != len(audit.Codes) {
		t.Errorf("junit: %v, %+v", err, suites)
	}
	var log struct {
		Version string
		Runs    []struct {
			Results []struct{ RuleID, Level string }
		}
	}
	all := 0
	for _, n := range faults {
		all += n
	}
	if err := json.Unmarshal([]byte(run(t, append(from, "sarif")...).stdout), &log); err != nil || log.Version != "2.1.0" || len(log.Runs[0].Results) != all {
		t.Errorf("sarif: %v, %+v", err, log)
	}
}

// A Secret that was handed over has no owner, and is kept all the same.
func TestAuditKnowsWhoKeepsAnAdoptedSecret(t *testing.T) {
	manifest := fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: pull, namespace: team-a, annotations: {regcred.dev/kept-by: RegistryCredential/pull}}\ntype: kubernetes.io/dockerconfigjson\ndata: {.dockerconfigjson: %s}\n",
		base64.StdEncoding.EncodeToString(loginFor(now.Add(time.Minute), "kept")))
	r := as(t, cp.Kubeconfig(), manifest, "audit", "--from=-", "-o", "wide")
	if r.code != cli.Fine || !strings.Contains(r.stdout, "RegistryCredential pull") {
		t.Errorf("%+v", r)
	}
}

// Every code has its part of the page that findings point to.
func TestEveryCodeHasItsDocs(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "audit-codes.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range audit.Codes {
		if !strings.Contains(string(page), "\n## "+c.ID+"\n\n**"+c.Name+"** ("+string(c.Severity)+"): "+c.Says+".\n") {
			t.Errorf("docs/audit-codes.md does not have the part of %s as it should", c.ID)
		}
	}
	if parts := strings.Count(string(page), "\n## RC"); parts != len(audit.Codes) {
		t.Errorf("%d parts for %d codes", parts, len(audit.Codes))
	}
}

// The formats that are kept as evidence say what they are no evidence of.
func TestAuditForOtherProgramsSaysWhatWasNotRead(t *testing.T) {
	gaps := "kind: Secret\napiVersion: v1\nmetadata: {name: bad}\ndata: 1\n---\nreplicas: 2\n---\n" +
		`{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"a","namespace":"b"},"imagePullSecrets":[{"name":"gone"}]}` + "\n---\n" + `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","namespace":"b"}}`
	want := []string{"error: not read: document 1 of stdin is no valid Secret", "note: skipped: document 2 of stdin names no kind", "note: 1 known or ignored"}
	audit := func(format string) result {
		r := as(t, cp.Kubeconfig(), gaps, "audit", "--from=-", "--ignore=RC201", "-o", format)
		if r.code != cli.Undecided {
			t.Errorf("%s: %+v", format, r)
		}
		return r
	}
	type outcome struct {
		Message string `xml:"message,attr"`
	}
	var suites struct {
		Suites []struct {
			Name    string `xml:"name,attr"`
			Errors  int    `xml:"errors,attr"`
			Skipped int    `xml:"skipped,attr"`
			Cases   []struct {
				Error   *outcome `xml:"error"`
				Skipped *outcome `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(audit("junit").stdout), &suites); err != nil {
		t.Fatal(err)
	}
	last := suites.Suites[len(suites.Suites)-1]
	var told []string
	for _, c := range last.Cases {
		if c.Error != nil {
			told = append(told, "error: "+c.Error.Message)
		}
		if c.Skipped != nil {
			told = append(told, "note: "+c.Skipped.Message)
		}
	}
	if diff := cmp.Diff(want, told); diff != "" || last.Errors != 1 || last.Skipped != 2 {
		t.Errorf("junit: %d errors, %d skipped (-want +got):\n%s", last.Errors, last.Skipped, diff)
	}
	var log struct {
		Runs []struct {
			Invocations []struct {
				ExecutionSuccessful        bool
				ToolExecutionNotifications []struct {
					Level   string
					Message struct{ Text string }
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(audit("sarif").stdout), &log); err != nil {
		t.Fatal(err)
	}
	told = nil
	for _, n := range log.Runs[0].Invocations[0].ToolExecutionNotifications {
		told = append(told, n.Level+": "+n.Message.Text)
	}
	if diff := cmp.Diff(want, told); diff != "" || log.Runs[0].Invocations[0].ExecutionSuccessful {
		t.Errorf("sarif: %+v (-want +got):\n%s", log.Runs[0].Invocations, diff)
	}
}

// A Secret of another tool is shown as such, and is not called unattended; that of which the tool only makes copies is.
func TestAuditKnowsForeignKeepers(t *testing.T) {
	secret := "---\napiVersion: v1\nkind: Secret\nmetadata: {namespace: team-a, name: %s}\ntype: kubernetes.io/dockerconfigjson\ndata: {.dockerconfigjson: %s}\n"
	token := func(until time.Time) string { return base64.StdEncoding.EncodeToString(loginFor(until, "foreign")) }
	const copied, source = "annotations: {reflector.v1.k8s.emberstack.com/reflects: infra/pull}", `annotations: {reflector.v1.k8s.emberstack.com/reflection-allowed: "true"}`
	const external = "labels: {reconcile.external-secrets.io/created-by: 0a1b}"
	live := token(now.Add(6 * time.Hour))
	manifests := fmt.Sprintf(secret, "external, "+external, live) + fmt.Sprintf(secret, "copied, "+copied, live) + fmt.Sprintf(secret, "source, "+source, live) +
		fmt.Sprintf(secret, "late, "+external, token(now.Add(-time.Hour))) + fmt.Sprintf(secret, "soon, "+external, token(now.Add(time.Minute)))
	manifests += fmt.Sprintf(secret, "empty, "+copied, base64.StdEncoding.EncodeToString([]byte(`{"auths":{}}`)))
	r := as(t, cp.Kubeconfig(), manifests, "audit", "--from=-", "-o", "json")
	var report audit.Report
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
		t.Fatalf("%v: %+v", err, r)
	}
	if strings.Contains(r.stdout, "null") {
		t.Errorf("a list that is empty is none: %s", r.stdout)
	}
	keepers, found := map[string]string{}, map[string]string{}
	for _, s := range report.Secrets {
		keepers[s.Name] = s.Keeper
	}
	for _, f := range report.Findings {
		found[f.Name] += f.Code
		if f.Code == "RC101" && !strings.Contains(f.Message, "External Secrets has not renewed it") {
			t.Errorf("%+v", f)
		}
	}
	tool := "External Secrets"
	if diff := cmp.Diff(map[string]string{"external": tool, "copied": "Reflector", "source": "", "late": tool, "soon": tool, "empty": "Reflector"}, keepers); diff != "" {
		t.Errorf("keepers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"source": "RC103", "late": "RC101", "soon": "RC102", "empty": "RC302"}, found); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}
