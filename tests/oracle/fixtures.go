package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"

	"sigs.k8s.io/yaml"
)

const upstreamModule = "k8s.io/pod-security-admission"

// fixtureLine is one of upstream's fixture files. Expect is what upstream's own
// test expects of a real API server, which defaults a volume without source to
// emptyDir; Violations judge the pod as it stands.
type fixtureLine struct {
	Path       string          `json:"path"`
	Level      string          `json:"level"`
	Version    string          `json:"version"`
	Expect     string          `json:"expect"`
	Pod        json.RawMessage `json:"pod"`
	Violations []violation     `json:"violations"`
}

// moduleDir finds the sources of the very upstream version built into this
// program, wherever it is called from.
func moduleDir() (string, error) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", errors.New("the program carries no build information")
	}
	for _, dep := range info.Deps {
		if dep.Path != upstreamModule {
			continue
		}
		command := exec.Command("go", "mod", "download", "-json", dep.Path+"@"+dep.Version)
		command.Stderr = os.Stderr
		out, err := command.Output()
		if err != nil {
			return "", fmt.Errorf("%s: %w", command, err)
		}
		var found struct{ Dir string }
		if err := json.Unmarshal(out, &found); err != nil {
			return "", err
		}
		return found.Dir, nil
	}
	return "", fmt.Errorf("%s is not among the modules of this program", upstreamModule)
}

func printFixtures(w io.Writer) error {
	r, err := newRegistry()
	if err != nil {
		return err
	}
	dir, err := moduleDir()
	if err != nil {
		return err
	}
	root := filepath.Join(dir, "test", "testdata")
	out := json.NewEncoder(w)
	found := 0
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		found++
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		line, err := r.fixture(path, filepath.ToSlash(relative))
		if err != nil {
			return fmt.Errorf("%s: %w", relative, err)
		}
		return out.Encode(line)
	})
	if err == nil && found == 0 {
		return fmt.Errorf("no fixtures in %s", root)
	}
	return err
}

// fixture reads one file, whose place says the rest: level/version/expect/name.
func (r *registry) fixture(path, relative string) (fixtureLine, error) {
	parts := strings.Split(relative, "/")
	if len(parts) != 4 {
		return fixtureLine{}, errors.New("not at LEVEL/VERSION/EXPECT/NAME")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fixtureLine{}, err
	}
	text, err := yaml.YAMLToJSON(data)
	if err != nil {
		return fixtureLine{}, err
	}
	pod, err := decodePod(text)
	if err != nil {
		return fixtureLine{}, err
	}
	v, err := r.judgeLabels(parts[0], parts[1], pod)
	return fixtureLine{relative, parts[0], parts[1], parts[2], text, v.Violations}, err
}
