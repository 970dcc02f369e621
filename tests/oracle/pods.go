package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"k8s.io/pod-security-admission/policy"
)

// podLine is one line of the "pods" stream.
type podLine struct {
	Pod      json.RawMessage `json:"pod"`
	Verdicts []verdict       `json:"verdicts"`
}

func randomLevel(g gen) string {
	if g.chance(4) {
		return "privileged"
	}
	return pick(g, []string{"baseline", "restricted"})
}

// randomVersion covers every version of the table, one after it, and one far
// beyond, which counts as the newest.
func randomVersion(g gen) string {
	switch n := g.IntN(100); {
	case n < 10:
		return "latest"
	case n < 14:
		return "v1.99"
	default:
		return fmt.Sprintf("v1.%d", g.IntN(39))
	}
}

func (r *registry) podLine(seed, item uint64, per int) (podLine, error) {
	g := newGen(seed, item)
	text, pod, err := textAndPod(genPod(g))
	if err != nil {
		return podLine{}, err
	}
	line := podLine{Pod: text}
	for range per {
		v, err := r.judgeLabels(randomLevel(g), randomVersion(g), pod)
		if err != nil {
			return podLine{}, fmt.Errorf("%w, pod %s", err, text)
		}
		line.Verdicts = append(line.Verdicts, v)
	}
	return line, nil
}

// printPods writes the stream; with tally it prints only how often each check
// failed.
func printPods(w io.Writer, seed, count uint64, per int, tally bool) error {
	r, err := newRegistry()
	if err != nil {
		return err
	}
	out := json.NewEncoder(w)
	counts := stats{}
	for item := range count {
		line, err := r.podLine(seed, item, per)
		if err != nil {
			return fmt.Errorf("seed %d, item %d: %w", seed, item, err)
		}
		if tally {
			counts.add(line)
		} else if err := out.Encode(line); err != nil {
			return err
		}
	}
	if tally {
		return counts.print(w, r)
	}
	return nil
}

// stats counts, per check and level, in how many verdicts the check failed and
// in how many it was the only one to fail.
type stats map[statsKey]statsCount

type statsKey struct {
	id    policy.CheckID
	level string
}

type statsCount struct{ failed, alone int }

func (s stats) add(line podLine) {
	for _, v := range line.Verdicts {
		if len(v.Violations) == 0 {
			key := statsKey{"(allowed)", v.Level}
			s[key] = statsCount{s[key].failed + 1, 0}
		}
		for _, violation := range v.Violations {
			key := statsKey{violation.ID, v.Level}
			count := s[key]
			count.failed++
			if len(v.Violations) == 1 {
				count.alone++
			}
			s[key] = count
		}
	}
}

func (s stats) print(w io.Writer, r *registry) error {
	keys := slices.SortedFunc(maps.Keys(s), func(a, b statsKey) int {
		if a.level+string(a.id) < b.level+string(b.id) {
			return -1
		}
		return 1
	})
	for _, key := range keys {
		if _, err := fmt.Fprintf(w, "%-11s %-28s failed %7d alone %6d\n",
			key.level, key.id, s[key].failed, s[key].alone); err != nil {
			return err
		}
	}
	for _, c := range r.checks {
		if s[statsKey{c.ID, "baseline"}].failed+s[statsKey{c.ID, "restricted"}].failed == 0 {
			return fmt.Errorf("check %s never failed", c.ID)
		}
	}
	return nil
}
