package monitoring

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// dashboard is the part of Grafana's model that we look at.
type dashboard struct {
	UID           string `json:"uid"`
	ID            *int   `json:"id"`
	SchemaVersion int    `json:"schemaVersion"`
	Templating    struct {
		List []struct {
			Name       string      `json:"name"`
			Type       string      `json:"type"`
			Query      any         `json:"query"`
			Datasource *datasource `json:"datasource"`
		} `json:"list"`
	} `json:"templating"`
	Panels []panel `json:"panels"`
}

type datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type panel struct {
	ID          int         `json:"id"`
	Type        string      `json:"type"`
	Title       string      `json:"title"`
	Description string      `json:"description"`
	Datasource  *datasource `json:"datasource"`
	GridPos     struct {
		X, Y, W, H int
	} `json:"gridPos"`
	Targets []struct {
		Expr       string      `json:"expr"`
		Datasource *datasource `json:"datasource"`
	} `json:"targets"`
	Links []struct {
		URL string `json:"url"`
	} `json:"links"`
	FieldConfig struct {
		Defaults struct {
			Thresholds struct {
				Steps []struct{ Color string } `json:"steps"`
			} `json:"thresholds"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
}

const dashboardFile = root + "/config/monitoring/dashboard.json"

func board(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	decode(t, dashboardFile, &d)
	if len(d.Panels) == 0 {
		t.Fatal("the dashboard has no panels")
	}
	return d
}

func TestTheDashboardFitsEveryGrafana(t *testing.T) {
	d := board(t)
	// By its uid a newer one replaces it, and alerts can link to it; the id is the Grafana's own.
	if d.UID != "regcred" || d.ID != nil {
		t.Errorf("the dashboard has the uid %q and the id %v", d.UID, d.ID)
	}
	// Grafana 12.1 and newer; older ones ignore what they do not know.
	if d.SchemaVersion < 42 {
		t.Errorf("schemaVersion %d", d.SchemaVersion)
	}
	if v := d.Templating.List[0]; v.Name != "datasource" || v.Type != "datasource" || v.Query != "prometheus" {
		t.Errorf("the first variable is %+v, want the data source", v)
	}
	for _, v := range d.Templating.List[1:] {
		wantVariable(t, "variable "+v.Name, v.Datasource)
	}
	raw, err := os.ReadFile(filepath.FromSlash(dashboardFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, uid := range regexp.MustCompile(`"uid": "([^"]*)"`).FindAllStringSubmatch(string(raw), -1) {
		if uid[1] != "${datasource}" && uid[1] != d.UID {
			t.Errorf("it holds the uid %s of somebody's Grafana", uid[1])
		}
	}
}

func wantVariable(t *testing.T, where string, d *datasource) {
	t.Helper()
	if d == nil || d.UID != "${datasource}" || d.Type != "prometheus" {
		t.Errorf("%s: data source %+v, want the variable", where, d)
	}
}

// TestPanelsLeadToRunbooks: for each alert there is one that shows what it is about, and no link is dead.
func TestPanelsLeadToRunbooks(t *testing.T) {
	linked := map[string]bool{}
	for _, p := range board(t).Panels {
		for _, l := range p.Links {
			linked[l.URL] = true
		}
	}
	wanted := map[string]bool{}
	for _, r := range rules(t).alerts() {
		wanted[r.Annotations["runbook_url"]] = true
	}
	if diff := cmp.Diff(wanted, linked); diff != "" {
		t.Errorf("runbooks (-) and links of panels (+):\n%s", diff)
	}
}

// TestEveryQueryAsksForOneCluster, or for those that are chosen.
func TestEveryQueryAsksForOneCluster(t *testing.T) {
	metric := regexp.MustCompile(`\b(?:regcred_\w+|ALERTS|workqueue_depth|process_\w+|rest_client_\w+|controller_runtime_\w+)(\{cluster=~"\$cluster")?`)
	for _, p := range board(t).Panels {
		for _, target := range p.Targets {
			for _, found := range metric.FindAllStringSubmatch(target.Expr, -1) {
				if found[1] == "" {
					t.Errorf("%s: %s asks all clusters", p.Title, found[0])
				}
			}
		}
	}
}

func TestPanelsCanBeReadAtAGlance(t *testing.T) {
	ids, titles := map[int]bool{}, map[string]bool{}
	taken := map[[2]int]string{}
	for _, p := range board(t).Panels {
		if ids[p.ID] || titles[p.Title] || p.Title == "" {
			t.Errorf("panel %d %q: its id or title is another's, or missing", p.ID, p.Title)
		}
		ids[p.ID], titles[p.Title] = true, true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, ok := taken[[2]int{x, y}]; ok || x >= 24 {
					t.Fatalf("%q covers %q, or leaves the screen", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		wantVariable(t, p.Title, p.Datasource)
		if p.Description == "" || !strings.HasSuffix(p.Description, ".") {
			t.Errorf("%q is not described in a sentence", p.Title)
		}
		if len(p.Targets) == 0 {
			t.Errorf("%q asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			wantVariable(t, p.Title, target.Datasource)
		}
		if p.Type == "stat" && len(p.FieldConfig.Defaults.Thresholds.Steps) == 0 {
			t.Errorf("%q has no thresholds", p.Title)
		}
	}
}
