package lockd_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A document that names a test names one that there is, or the beginning of several.
func TestDocumentsNameTests(t *testing.T) {
	var there []string
	declared := regexp.MustCompile(`(?m)^func (Test\w+|Fuzz\w+|Benchmark\w+)\(`)
	err := filepath.WalkDir(".", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(source, -1) {
			there = append(there, string(m[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	stories, err := filepath.Glob("fsm/testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	story := make(map[string]bool)
	for _, path := range stories {
		story[strings.TrimSuffix(filepath.Base(path), ".txt")] = true
	}
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`\b(Test[A-Z]\w+|Fuzz[A-Z]\w+)\b`)
	stored := regexp.MustCompile("stor(?:y|ies) ((?:`\\w+`(?:, )?)+)")
	for _, document := range append(documents, "README.md", "CONTRIBUTING.md", "jepsen/README.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range named.FindAllString(string(text), -1) {
			if !slices.ContainsFunc(there, func(test string) bool { return strings.HasPrefix(test, name) }) {
				t.Errorf("%s: there is no %s", document, name)
			}
		}
		for _, m := range stored.FindAllStringSubmatch(string(text), -1) {
			for _, name := range strings.Split(m[1], ", ") {
				if name = strings.Trim(name, "`"); name != "" && !story[name] {
					t.Errorf("%s: there is no story %q", document, name)
				}
			}
		}
	}
}
