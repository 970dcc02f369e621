package main

import (
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// violation is one failing check. Reason and detail are upstream's own texts.
type violation struct {
	ID     policy.CheckID `json:"id"`
	Reason string         `json:"reason"`
	Detail string         `json:"detail"`
}

type namedCheck struct {
	id  policy.CheckID
	run policy.CheckPodFn
}

// registry gives upstream's answers together with check IDs. Upstream's
// evaluator does not say which check gave a result, so the step table is
// resolved a second time here and compared with the evaluator at every call.
type registry struct {
	real   policy.Evaluator
	checks []policy.Check
	newest api.Version
	steps  map[api.LevelVersion][]namedCheck
}

func newRegistry() (*registry, error) {
	checks := policy.DefaultChecks()
	real, err := policy.NewEvaluator(checks, nil)
	if err != nil {
		return nil, err
	}
	// The order of messages: baseline IDs sorted, then restricted IDs sorted.
	slices.SortFunc(checks, func(a, b policy.Check) int {
		if order := api.CompareLevels(a.Level, b.Level); order != 0 {
			return order
		}
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	r := &registry{real: real, checks: checks, steps: map[api.LevelVersion][]namedCheck{}}
	for _, c := range checks {
		if last := c.Versions[len(c.Versions)-1].MinimumVersion; r.newest.Older(last) {
			r.newest = last
		}
	}
	return r, nil
}

// at returns the checks of a level and version, in message order.
func (r *registry) at(lv api.LevelVersion) []namedCheck {
	if lv.Level == api.LevelPrivileged {
		return nil
	}
	if r.newest.Older(lv.Version) {
		lv.Version = r.newest
	}
	if found, ok := r.steps[lv]; ok {
		return found
	}
	overridden := map[policy.CheckID]bool{}
	if lv.Level == api.LevelRestricted {
		for _, c := range r.checks {
			if c.Level == api.LevelRestricted {
				for _, id := range stepAt(c, lv.Version).OverrideCheckIDs {
					overridden[id] = true
				}
			}
		}
	}
	found := []namedCheck{}
	for _, c := range r.checks {
		step := stepAt(c, lv.Version)
		if step.CheckPod != nil && !overridden[c.ID] && api.CompareLevels(c.Level, lv.Level) <= 0 {
			found = append(found, namedCheck{c.ID, step.CheckPod})
		}
	}
	r.steps[lv] = found
	return found
}

// stepAt returns the step of a check in force at a version; its CheckPod is nil
// when the check begins later.
func stepAt(c policy.Check, v api.Version) policy.VersionedCheck {
	var found policy.VersionedCheck
	for _, step := range c.Versions {
		if !v.Older(step.MinimumVersion) {
			found = step
		}
	}
	return found
}

// judge evaluates a pod and names the failing checks. It fails if the named
// results differ in any way from those of upstream's evaluator.
func (r *registry) judge(lv api.LevelVersion, meta *metav1.ObjectMeta, spec *corev1.PodSpec) ([]violation, error) {
	results := r.real.EvaluatePod(lv, meta, spec)
	checks := r.at(lv)
	if len(results) != len(checks) {
		return nil, fmt.Errorf("%v: upstream ran %d checks, the table names %d", lv, len(results), len(checks))
	}
	violations := []violation{}
	for i, c := range checks {
		if again := c.run(meta, spec); again != results[i] {
			return nil, fmt.Errorf("%v: check %s says %+v, upstream %+v", lv, c.id, again, results[i])
		}
		if !results[i].Allowed {
			violations = append(violations, violation{c.id, results[i].ForbiddenReason, results[i].ForbiddenDetail})
		}
	}
	return violations, nil
}

// verdict is the answer of one level and version about one pod.
type verdict struct {
	Level      string      `json:"level"`
	Version    string      `json:"version"`
	Violations []violation `json:"violations"`
}

// judgeLabels judges by the texts of the labels, which the verdict repeats.
func (r *registry) judgeLabels(level, version string, pod *corev1.Pod) (verdict, error) {
	l, err := api.ParseLevel(level)
	if err != nil {
		return verdict{}, err
	}
	v, err := api.ParseVersion(version)
	if err != nil {
		return verdict{}, err
	}
	violations, err := r.judge(api.LevelVersion{Level: l, Version: v}, &pod.ObjectMeta, &pod.Spec)
	return verdict{level, version, violations}, err
}

var podKind = corev1.SchemeGroupVersion.WithKind("Pod")

// decodePod reads a pod as upstream's webhook does.
func decodePod(text []byte) (*corev1.Pod, error) {
	decoded, _, err := decoder.Decode(text, &podKind, nil)
	if err != nil {
		return nil, fmt.Errorf("decoding %s: %w", text, err)
	}
	pod, ok := decoded.(*corev1.Pod)
	if !ok {
		return nil, fmt.Errorf("decoding %s: got a %T", text, decoded)
	}
	return pod, nil
}

// textAndPod writes a tree as JSON and reads that text back, so that answers
// belong to the text that is printed.
func textAndPod(tree obj) (json.RawMessage, *corev1.Pod, error) {
	text, err := json.Marshal(tree)
	if err != nil {
		return nil, nil, err
	}
	pod, err := decodePod(text)
	return text, pod, err
}
