package gitops

import (
	"testing"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// run runs a script over an object as Argo CD does: with the basic library, that of tables, and of os only the time.
func run(t *testing.T, script string, o *unstructured.Unstructured) any {
	t.Helper()
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	l.SetContext(t.Context())
	for _, open := range []lua.LGFunction{lua.OpenPackage, lua.OpenBase, lua.OpenTable} {
		if err := l.CallByParam(lua.P{Fn: l.NewFunction(open), Protect: true}); err != nil {
			t.Fatal(err)
		}
	}
	l.PreloadModule(lua.OsLibName, func(l *lua.LState) int {
		lua.OpenOs(l)
		all := l.CheckTable(-1)
		l.SetGlobal(lua.OsLibName, lua.LNil)
		safe := l.NewTable()
		for _, name := range []string{"time", "date"} {
			safe.RawSetString(name, all.RawGetString(name))
		}
		l.Push(safe)
		return 1
	})
	l.SetGlobal("obj", toLua(l, o.Object))
	if err := l.DoString(script); err != nil {
		t.Fatalf("%v in\n%s", err, script)
	}
	return fromLua(l.Get(-1))
}

func toLua(l *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case string:
		return lua.LString(value)
	case bool:
		return lua.LBool(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	case map[string]any:
		table := l.NewTable()
		for key, item := range value {
			table.RawSetString(key, toLua(l, item))
		}
		return table
	case []any:
		table := l.NewTable()
		for _, item := range value {
			table.Append(toLua(l, item))
		}
		return table
	default:
		return lua.LNil
	}
}

// fromLua takes every table for a map: no script returns a list.
func fromLua(value lua.LValue) any {
	switch value := value.(type) {
	case lua.LString:
		return string(value)
	case lua.LBool:
		return bool(value)
	case lua.LNumber:
		return float64(value)
	case *lua.LTable:
		object := map[string]any{}
		value.ForEach(func(key, item lua.LValue) { object[key.String()] = fromLua(item) })
		return object
	default:
		return nil
	}
}
