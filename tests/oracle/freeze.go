package main

import (
	"io"
	"os"
	"path/filepath"
)

// Changing these changes every frozen line.
const (
	frozenSeed     = 20261121
	frozenPods     = 1000
	frozenPer      = 4
	frozenRequests = 900
)

// freeze writes the data that lets the plain test run do without Go.
func freeze(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, write := range map[string]func(io.Writer) error{
		"pods.jsonl": func(w io.Writer) error {
			return printPods(w, frozenSeed, frozenPods, frozenPer, false)
		},
		"requests.jsonl": func(w io.Writer) error {
			return printRequests(w, frozenSeed, frozenRequests)
		},
		"checks.json":    printChecks,
		"printable.json": printPrintable,
	} {
		if err := toFile(filepath.Join(dir, name), write); err != nil {
			return err
		}
	}
	return nil
}
