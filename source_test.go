package lockd_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

const (
	fileLinesMax     = 400 // tests and generated code aside
	functionLinesMax = 70
)

// longFunctions are over functionLinesMax with a reason. The list may only
// shrink: an entry that is no longer needed fails the test. (A table that a
// function returns is data and may be long.)
var longFunctions = map[string]string{}

// mutableVariables may be package variables although they change.
var mutableVariables = map[string]string{
	"lockapi.schemes": "the scheme table of Open, as in database/sql",
}

// TestSize keeps a file to one idea and a function to one screen.
func TestSize(t *testing.T) {
	needed := map[string]bool{}
	for _, f := range sources(t) {
		if f.generated || f.test {
			continue
		}
		if f.lines > fileLinesMax {
			t.Errorf("%s has %d lines, more than %d: it holds more than one idea", f.path, f.lines, fileLinesMax)
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1
			name := f.dir + "." + functionName(fn)
			if lines <= functionLinesMax || isTable(fn) {
				continue
			}
			if needed[name] = true; longFunctions[name] == "" {
				t.Errorf("%s: %s has %d lines, more than %d", f.at(fn), name, lines, functionLinesMax)
			}
		}
	}
	for name := range longFunctions {
		if !needed[name] {
			t.Errorf("%s is not too long (any more): take it off the list", name)
		}
	}
}

// isTable tells a function that is only a literal, after constants: a table
// that is not a variable, so that nothing changes it.
func isTable(fn *ast.FuncDecl) bool {
	for i, statement := range fn.Body.List {
		switch statement := statement.(type) {
		case *ast.DeclStmt:
			if statement.Decl.(*ast.GenDecl).Tok != token.CONST {
				return false
			}
		case *ast.ReturnStmt:
			if i != len(fn.Body.List)-1 || len(statement.Results) != 1 {
				return false
			}
			literal, ok := statement.Results[0].(*ast.CompositeLit)
			return ok && !holdsCode(literal)
		default:
			return false
		}
	}
	return false
}

func holdsCode(n ast.Node) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		_, isFunction := n.(*ast.FuncLit)
		found = found || isFunction
		return !found
	})
	return found
}

// TestPackages wants a manual on every package and a name that says what it is.
func TestPackages(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range sources(t) {
		switch name := f.ast.Name.Name; name {
		case "util", "utils", "common", "helper", "helpers", "types", "misc":
			t.Errorf("%s: package %s is named for nothing", f.path, name)
		}
		if !f.test {
			documented[f.dir] = documented[f.dir] || f.ast.Doc != nil && !f.generated
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(documented)) {
		if !documented[dir] && !onlyGenerated(t, dir) {
			t.Errorf("%s: no package comment", dir)
		}
	}
}

func onlyGenerated(t *testing.T, dir string) bool {
	for _, f := range sources(t) {
		if f.dir == dir && !f.test && !f.generated {
			return false
		}
	}
	return true
}

// TestNoInit: importing a package does nothing, but for a backend that
// registers its scheme.
func TestNoInit(t *testing.T) {
	for _, f := range sources(t) {
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if ok && !f.generated && fn.Recv == nil && fn.Name.Name == "init" && !registersScheme(fn) {
				t.Errorf("%s: init has effects", f.at(fn))
			}
		}
	}
}

func registersScheme(fn *ast.FuncDecl) bool {
	if len(fn.Body.List) != 1 {
		return false
	}
	statement, ok := fn.Body.List[0].(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := statement.X.(*ast.CallExpr)
	return ok && called(call) == "lockapi.Register"
}

// TestErrorsAreDocumented: an exported error tells its reader what to do.
func TestErrorsAreDocumented(t *testing.T) {
	for _, f := range sources(t) {
		for _, spec := range packageVariables(f) {
			for _, name := range spec.Names {
				if strings.HasPrefix(name.Name, "Err") && spec.Doc == nil && spec.Comment == nil {
					t.Errorf("%s: %s has no comment", f.at(name), name.Name)
				}
			}
		}
	}
}

// TestNoMutableVariables: what a package variable holds is there from the
// start and nothing assigns to it, its fields or its elements, or takes its
// address.
func TestNoMutableVariables(t *testing.T) {
	byDir := map[string][]*source{}
	for _, f := range sources(t) {
		if !f.generated && !f.test {
			byDir[f.dir] = append(byDir[f.dir], f)
		}
	}
	for dir, files := range byDir {
		declared := map[string]bool{}
		for _, f := range files {
			for _, spec := range packageVariables(f) {
				for _, name := range spec.Names {
					if full := path.Base(dir) + "." + name.Name; mutableVariables[full] != "" || name.Name == "_" {
						continue
					}
					if declared[name.Name] = true; len(spec.Values) == 0 {
						t.Errorf("%s: package variable %s starts empty, so something must change it", f.at(name), name.Name)
					}
				}
			}
		}
		for _, f := range files {
			for _, id := range changed(f) {
				if declared[id.Name] {
					t.Errorf("%s: package variable %s is changed", f.at(id), id.Name)
				}
			}
		}
	}
}

// packageVariables lists the var declarations of a file, outside functions.
func packageVariables(f *source) []*ast.ValueSpec {
	var specs []*ast.ValueSpec
	for _, d := range f.ast.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.VAR {
			continue
		}
		for _, s := range decl.Specs {
			spec := s.(*ast.ValueSpec)
			if spec.Doc == nil && len(decl.Specs) == 1 {
				spec.Doc = decl.Doc
			}
			specs = append(specs, spec)
		}
	}
	return specs
}

// changed finds the variables of package scope that functions of the file
// assign to (whole or in part) or take the address of.
func changed(f *source) []*ast.Ident {
	var ids []*ast.Ident
	add := func(e ast.Expr) {
		if id := root(e); id != nil && ofPackage(f, id) {
			ids = append(ids, id)
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, left := range n.Lhs {
					add(left)
				}
			}
		case *ast.IncDecStmt:
			add(n.X)
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				add(n.X)
			}
		case *ast.CallExpr:
			if name := called(n); (name == "delete" || name == "clear") && len(n.Args) > 0 {
				add(n.Args[0])
			}
		}
		return true
	})
	return ids
}

// ofPackage: the parser resolves what a function declares; what is left, or
// resolved to the file's own var declarations, is of the package.
func ofPackage(f *source, id *ast.Ident) bool {
	if id.Obj == nil {
		return true
	}
	spec, ok := id.Obj.Decl.(*ast.ValueSpec)
	return ok && slices.Contains(packageVariables(f), spec)
}

// root is the variable of a.b[c].d, that is a.
func root(e ast.Expr) *ast.Ident {
	switch e := e.(type) {
	case *ast.Ident:
		return e
	case *ast.SelectorExpr:
		return root(e.X)
	case *ast.IndexExpr:
		return root(e.X)
	case *ast.ParenExpr:
		return root(e.X)
	case *ast.StarExpr:
		return root(e.X)
	}
	return nil
}

// called names a function that is called by name, with its package if any.
func called(call *ast.CallExpr) string {
	switch fn := call.Fun.(type) {
	case *ast.Ident:
		return fn.Name
	case *ast.SelectorExpr:
		if x, ok := fn.X.(*ast.Ident); ok {
			return x.Name + "." + fn.Sel.Name
		}
	}
	return ""
}

// functionName is Name or Receiver.Name.
func functionName(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	receiver := fn.Recv.List[0].Type
	for {
		switch e := receiver.(type) {
		case *ast.StarExpr:
			receiver = e.X
		case *ast.IndexExpr:
			receiver = e.X
		case *ast.IndexListExpr:
			receiver = e.X
		case *ast.Ident:
			return e.Name + "." + fn.Name.Name
		default:
			return fn.Name.Name
		}
	}
}

// TestChanged: the rule against mutable variables sees through fields,
// elements and pointers, and is not fooled by a local of the same name.
func TestChanged(t *testing.T) {
	const text = `package p
var a, b, c, d, e, f, g = 1, 2, 3, 4, 5, 6, 7
func change() { a = 1; b.x[2] = 1; c++; use(&d); delete(e, 1) }
func leave() { f := 1; f = 2; use(g) }
`
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, "p.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, id := range changed(&source{fset: fset, ast: parsed}) {
		names = append(names, id.Name)
	}
	if got := strings.Join(names, " "); got != "a b c d e" {
		t.Errorf("changed: %s", got)
	}
}
