package lockd_test

import (
	"go/ast"
	"go/importer"
	"go/token"
	"go/types"
	"strconv"
	"testing"
)

// impure may not be imported by fsm: every replica must come to the same state
// from the same log, so the machine has no clock, no goroutine, no file, no
// socket, no randomness and nobody to talk to.
var impure = []string{"time", "sync", "context", "os", "net", "math/rand", "crypto/rand", "log", "unsafe",
	"runtime", "syscall", "testing", "embed"}

// mapRanges are functions of fsm that may range over a map because the order
// cannot show, with the reason. The list may only shrink.
var mapRanges = map[string]string{}

// TestMachineIsPure holds fsm to its word that it is a value.
func TestMachineIsPure(t *testing.T) {
	files := machine(t)
	for _, f := range files {
		for _, spec := range f.ast.Imports {
			if p, _ := strconv.Unquote(spec.Path.Value); under(p, impure) {
				t.Errorf("%s: fsm imports %s", f.at(spec), p)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt, *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
				t.Errorf("%s: fsm uses goroutines or channels", f.at(n))
			case *ast.UnaryExpr:
				if n.Op == token.ARROW {
					t.Errorf("%s: fsm receives from a channel", f.at(n))
				}
			}
			return true
		})
	}
}

// TestMachineHasNoMapOrder finds every range over a map in fsm, directly or
// by package maps.
func TestMachineHasNoMapOrder(t *testing.T) {
	files := machine(t)
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	if len(files) == 0 {
		t.Fatal("no files of fsm")
	}
	parsed := make([]*ast.File, len(files))
	for i, f := range files {
		parsed[i] = f.ast
	}
	fset := files[0].fset
	config := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
	if _, err := config.Check(module+"/fsm", fset, parsed, info); err != nil {
		t.Fatalf("fsm does not type-check: %v", err)
	}
	needed := map[string]bool{}
	for _, f := range files {
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			name := functionName(fn)
			for _, n := range mapOrders(fn, info) {
				if needed[name] = true; mapRanges[name] == "" {
					t.Errorf("%s: %s depends on the order of a map", f.at(n), name)
				}
			}
		}
	}
	for name := range mapRanges {
		if !needed[name] {
			t.Errorf("%s ranges over no map (any more): take it off the list", name)
		}
	}
}

// mapOrders finds what in fn sees the order of a map.
func mapOrders(fn *ast.FuncDecl, info *types.Info) []ast.Node {
	var found []ast.Node
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.RangeStmt:
			if over := info.TypeOf(n.X); over != nil {
				if _, ok := over.Underlying().(*types.Map); ok {
					found = append(found, n)
				}
			}
		case *ast.CallExpr:
			switch called(n) {
			case "maps.All", "maps.Keys", "maps.Values", "maps.DeleteFunc":
				found = append(found, n)
			}
		}
		return true
	})
	return found
}

// machine is fsm without its tests.
func machine(t *testing.T) []*source {
	var files []*source
	for _, f := range sources(t) {
		if f.dir == "fsm" && !f.test {
			files = append(files, f)
		}
	}
	return files
}
