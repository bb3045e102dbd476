package providers_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// code is the source of some packages.
type code []*ast.File

func codeOf(t *testing.T, dirs ...string) code {
	t.Helper()
	var files code
	for _, dir := range dirs {
		paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v, %v", dir, paths, err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
	}
	return files
}

// texts are all that the code can say, and codes of errors in parentheses, as messages have them.
func (c code) texts() []string {
	var all []string
	for _, file := range c {
		ast.Inspect(file, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				if text := textOf(e); text != gap {
					all = append(all, text, "("+text+")")
					return false
				}
			}
			return true
		})
	}
	return all
}

// sentences are those of the errors that the code makes.
func (c code) sentences() []sentence {
	var all []sentence
	add := func(reason string, e ast.Expr) {
		text := textOf(e)
		if strings.HasSuffix(text, "(%s): %s") {
			return // around a code and its cure, which come from a table
		}
		if slices.ContainsFunc(strings.Split(verb.ReplaceAllString(text, gap), gap), func(p string) bool { return len(strings.TrimSpace(p)) >= telling }) && !strings.HasPrefix(text, "%w") {
			all = append(all, sentence{reason, text})
		}
	}
	helpers, variables := c.helpers(), map[string]string{}
	for _, file := range c {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if h, ok := helpers[nameOf(n.Fun)]; ok && len(n.Args) > h.argument {
					add(h.reason, n.Args[h.argument])
				}
				if nameOf(n.Fun) == "providers.Errorf" {
					add(reasonIn(n.Args[0]), n.Args[1])
				}
			case *ast.AssignStmt: // e.Err = fmt.Errorf(…), the reason is decided beside it
				if s, ok := n.Lhs[0].(*ast.SelectorExpr); ok && s.Sel.Name == "Err" {
					add("", formatted(n.Rhs[0]))
				}
			case *ast.CompositeLit:
				if nameOf(n.Type) == "providers.Error" {
					reason, err := reasonIn(field(n, "Reason")), field(n, "Err")
					add(reason, formatted(err))
					if variable, ok := err.(*ast.Ident); ok {
						variables[variable.Name] = reason
					}
				}
			case *ast.KeyValueExpr: // a table of codes
				if e, ok := n.Value.(*ast.CompositeLit); ok && e.Type == nil && len(e.Elts) > 1 && reasonIn(e.Elts[0]) != "" {
					if text := textOf(n.Key); text != gap {
						all = append(all, sentence{reasonIn(e.Elts[0]), "(" + text + ")"})
					}
				}
			}
			return true
		})
	}
	for _, file := range c {
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
				if reason, used := variables[spec.Names[0].Name]; used {
					add(reason, formatted(spec.Values[0]))
				}
			}
			return true
		})
	}
	return all
}

// helper is a function that makes an error of a text.
type helper struct {
	reason   string
	argument int
}

// helpers are by name; those that are methods begin with a dot.
func (c code) helpers() map[string]helper {
	found := map[string]helper{}
	for _, file := range c {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil || f.Type.Results == nil || nameOf(f.Type.Results.List[0].Type) != "*providers.Error" {
				continue
			}
			reason := ""
			ast.Inspect(f.Body, func(n ast.Node) bool {
				if e, ok := n.(ast.Expr); ok && reason == "" {
					reason = reasonIn(e)
				}
				return true
			})
			name, at := f.Name.Name, 0
			if f.Recv != nil {
				name = "." + name
			}
			for _, p := range f.Type.Params.List {
				for _, param := range p.Names {
					if reason != "" && slices.Contains([]string{"format", "what", "how"}, param.Name) {
						found[name] = helper{reason, at}
					}
					at++
				}
			}
		}
	}
	return found
}

// nameOf is the name of a function or type: that of a package with the package, and that of a method with a dot.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return "*" + nameOf(e.X)
	case *ast.SelectorExpr:
		if pkg, ok := e.X.(*ast.Ident); ok && slices.Contains([]string{"providers", "fmt", "errors", "v1alpha1"}, pkg.Name) {
			return pkg.Name + "." + e.Sel.Name
		}
		return "." + e.Sel.Name
	}
	return ""
}

func reasonIn(e ast.Expr) string {
	reason, _ := strings.CutPrefix(nameOf(e), "v1alpha1.Reason")
	if reason == nameOf(e) {
		return ""
	}
	return reason
}

// formatted is the text of fmt.Errorf and errors.New; nil if it is something else.
func formatted(e ast.Expr) ast.Expr {
	call, ok := e.(*ast.CallExpr)
	if !ok || nameOf(call.Fun) != "fmt.Errorf" && nameOf(call.Fun) != "errors.New" {
		return nil
	}
	return call.Args[0]
}

func field(literal *ast.CompositeLit, name string) ast.Expr {
	for _, e := range literal.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok && nameOf(kv.Key) == name {
			return kv.Value
		}
	}
	return nil
}

// textOf is a text, which may be put together of parts; a gap for what is none.
func textOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return text
		}
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return textOf(e.X) + textOf(e.Y)
		}
	}
	return gap
}
