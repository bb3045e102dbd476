package v1alpha1_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
)

func TestStatusBeginsWithoutReport(t *testing.T) {
	for _, k := range kinds {
		created := k.create(t, "no-report-yet")
		if diff := cmp.Diff(map[string]any{"observedGeneration": int64(-1)}, created.Object["status"]); diff != "" {
			t.Errorf("%s, -want +got:\n%s", k.resource, diff)
		}
		read, err := k.client(t).Get(t.Context(), created.GetName(), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(created.Object, read.Object); diff != "" {
			t.Errorf("%s is read otherwise than it was created, -created +read:\n%s", k.resource, diff)
		}
	}
}

// TestNames uses a name with each word, because a category that is also a short name lists but takes no name.
func TestNames(t *testing.T) {
	for _, k := range kinds {
		k.create(t, "names")
	}
	const one, other = "registrycredential.regcred.dev/names", "clusterregistrycredential.regcred.dev/names"
	for words, want := range map[string][]string{
		"regcred names":                    {one},
		"registrycredential names":         {one},
		"registrycredentials names":        {one},
		"cregcred names":                   {other},
		"clusterregistrycredential names":  {other},
		"clusterregistrycredentials names": {other},
		"regcred":                          {one},
		"cregcred":                         {other},
		"regcreds":                         {other, one},
	} {
		out, err := cp.Kubectl(t.Context(), append([]string{"get", "-o", "name"}, strings.Fields(words)...)...)
		got := strings.Fields(string(out))
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("kubectl get %s: %q, %v; want %q", words, got, err, want)
		}
	}
}

func TestPrinterColumns(t *testing.T) {
	times := []any{"2026-01-02T15:04:05Z", "2026-01-02T09:04:05Z"}
	for _, c := range []struct {
		kind          kind
		columns       []string
		cells, before []any
	}{
		{
			namespaced,
			[]string{"Name", "Ready", "Reason", "Registries", "Expires", "Refresh", "Suspended (wide)", "Stalled (wide)", "Failing (wide)", "Age"},
			[]any{"columns", "True", "Current", "2/2", times[0], times[1], false, "True", "prod"},
			[]any{"columns", nil, nil, nil, nil, nil, false, nil, nil},
		},
		{
			clusterScoped,
			[]string{"Name", "Ready", "Reason", "Registries", "Namespaces", "Current", "Expires", "Refresh",
				"Suspended (wide)", "Stalled (wide)", "Failing (wide)", "Age"},
			[]any{"columns", "True", "Current", "2/2", 214.0, 213.0, times[0], times[1], false, "True", "prod"},
			[]any{"columns", nil, nil, nil, nil, nil, nil, nil, false, nil, nil},
		},
	} {
		t.Run(c.kind.resource, func(t *testing.T) {
			object := c.kind.create(t, "columns")
			checkTable(t, table(t, object), c.columns, c.before)

			object.Object["status"] = parse(t, c.kind.status)
			if _, err := c.kind.client(t).UpdateStatus(t.Context(), object, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			checkTable(t, table(t, object), c.columns, c.cells)
		})
	}
}

// checkTable takes cells without the last, the age.
func checkTable(t *testing.T, got metav1.Table, columns []string, cells []any) {
	t.Helper()
	var names []string
	for _, column := range got.ColumnDefinitions {
		name := column.Name
		if column.Priority > 0 {
			name += " (wide)"
		}
		names = append(names, name)
	}
	if diff := cmp.Diff(columns, names); diff != "" {
		t.Errorf("columns, -want +got:\n%s", diff)
	}
	if len(got.Rows) != 1 || len(got.Rows[0].Cells) != len(columns) {
		t.Fatalf("got %v, want 1 row of %d cells", got.Rows, len(columns))
	}
	row := got.Rows[0].Cells
	if diff := cmp.Diff(cells, row[:len(row)-1]); diff != "" {
		t.Errorf("cells, -want +got:\n%s", diff)
	}
	if age, ok := row[len(row)-1].(string); !ok || !regexp.MustCompile(`^[0-9]+s$`).MatchString(age) {
		t.Errorf("age is %v", row[len(row)-1])
	}
}

// table is what kubectl get asks the API server for.
func table(t *testing.T, object *unstructured.Unstructured) metav1.Table {
	t.Helper()
	clients, err := kubernetes.NewForConfig(cp.Config)
	if err != nil {
		t.Fatal(err)
	}
	path := "/apis/regcred.dev/v1alpha1/namespaces/" + object.GetNamespace() + "/registrycredentials/" + object.GetName()
	if object.GetNamespace() == "" {
		path = "/apis/regcred.dev/v1alpha1/clusterregistrycredentials/" + object.GetName()
	}
	content, err := clients.RESTClient().Get().AbsPath(path).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var table metav1.Table
	if err := json.Unmarshal(content, &table); err != nil {
		t.Fatal(err)
	}
	return table
}
