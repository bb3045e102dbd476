// Package docs proves that the documentation speaks of what is there, and of all of it: every block of code in it is run, parsed or
// compared with what it shows, or says why not. CONTRIBUTING.md describes the marks.
package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// page is a Markdown file, with its code apart from its text.
type page struct {
	path, text string
	headings   []heading
	blocks     []block
}

type heading struct {
	level int
	text  string
}

// block is a fenced block of code.
type block struct {
	line     int
	language string
	marks    map[string]string
	code     string
	setup    []string // what is run before the block, and not shown to readers
}

// everything is the text of the page with its code.
func (p page) everything() string {
	text := p.text
	for _, b := range p.blocks {
		text += b.code
	}
	return text
}

func (p page) at(b block) string { return fmt.Sprintf("%s:%d", p.path, b.line) }

// pages are the Markdown files of the repository that people read, by their path from the root.
func pages(t *testing.T) map[string]page {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"docs", "charts"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if filepath.Ext(path) == ".md" {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	all := map[string]page{}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		p, err := parse(name, string(raw))
		if err != nil {
			t.Error(err)
		}
		all[name] = p
	}
	if len(all) < 20 {
		t.Fatalf("found %d pages only", len(all))
	}
	return all
}

var setupComment = regexp.MustCompile(`^<!-- setup: (.*) -->$`)

func parse(path, raw string) (page, error) {
	p := page{path: path}
	fenced, number := false, 0
	var setup []string
	for line := range strings.Lines(raw) {
		number++
		info, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence:
			if fenced = !fenced; fenced {
				language, marks, err := parseInfo(info)
				if err != nil {
					return p, fmt.Errorf("%s:%d: %w", path, number, err)
				}
				p.blocks = append(p.blocks, block{line: number, language: language, marks: marks, setup: setup})
				setup = nil
			}
		case fenced:
			p.blocks[len(p.blocks)-1].code += line
		case setupComment.MatchString(strings.TrimSpace(line)):
			setup = append(setup, setupComment.FindStringSubmatch(strings.TrimSpace(line))[1])
		default:
			p.text += line
			if text := strings.TrimLeft(line, "#"); strings.HasPrefix(text, " ") && len(text) < len(line) {
				p.headings = append(p.headings, heading{len(line) - len(text), strings.TrimSpace(text)})
			}
		}
	}
	return p, nil
}

var mark = regexp.MustCompile(`^\s+([a-z]+)(?:="([^"]*)")?`)

// parseInfo parses what follows the fence: a language, and marks such as run or skip="reason".
func parseInfo(info string) (language string, marks map[string]string, err error) {
	language, rest, _ := strings.Cut(info, " ")
	rest = strings.TrimRight(" "+rest, " ")
	marks = map[string]string{}
	for rest != "" {
		m := mark.FindStringSubmatch(rest)
		if m == nil {
			return "", nil, fmt.Errorf("the mark %q is neither a word nor word=\"text\"", rest)
		}
		marks[m[1]] = m[2]
		rest = rest[len(m[0]):]
	}
	return language, marks, nil
}

func TestParseInfo(t *testing.T) {
	language, marks, err := parseInfo(`sh run with="<name>=a b" `)
	if err != nil || language != "sh" || len(marks) != 2 || marks["with"] != "<name>=a b" {
		t.Errorf("got %q, %q, %v", language, marks, err)
	}
	if _, _, err := parseInfo("sh run=now"); err == nil {
		t.Error("a mark without quotes passed")
	}
}
