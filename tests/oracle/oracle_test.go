package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/pod-security-admission/api"
)

func newTestRegistry(t *testing.T) *registry {
	t.Helper()
	r, err := newRegistry()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func written(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestEveryCheckFailsAndIsTheOnlyOneToFail(t *testing.T) {
	r := newTestRegistry(t)
	counts := stats{}
	for item := range uint64(20000) {
		line, err := r.podLine(1, item, 4)
		if err != nil {
			t.Fatal(err)
		}
		counts.add(line)
	}
	for _, c := range r.checks {
		failed, alone := 0, 0
		for _, level := range []string{"baseline", "restricted"} {
			count := counts[statsKey{c.ID, level}]
			failed += count.failed
			alone += count.alone
		}
		if alone < 20 || failed < 2*alone {
			t.Errorf("%s fails %d times, %d times alone", c.ID, failed, alone)
		}
	}
	for _, level := range []string{"privileged", "baseline", "restricted"} {
		if counts[statsKey{"(allowed)", level}].failed == 0 {
			t.Errorf("no pod satisfies %s", level)
		}
	}
}

// A table that differs from upstream's evaluator must stop the program, in the
// number of checks as in their order.
func TestAWrongTableIsNoticed(t *testing.T) {
	_, pod, err := textAndPod(obj{"spec": obj{"hostNetwork": true, "volumes": list{obj{"hostPath": obj{}}}}})
	if err != nil {
		t.Fatal(err)
	}
	lv := api.LevelVersion{Level: api.LevelBaseline, Version: api.MajorMinorVersion(1, 20)}
	for name, spoil := range map[string]func([]namedCheck) []namedCheck{
		"shorter": func(c []namedCheck) []namedCheck { return c[1:] },
		"other order": func(c []namedCheck) []namedCheck {
			for i := range c {
				if c[i].id == "hostNamespaces" {
					c[i], c[i+1] = c[i+1], c[i]
					break
				}
			}
			return c
		},
	} {
		r := newTestRegistry(t)
		if _, err := r.judge(lv, &pod.ObjectMeta, &pod.Spec); err != nil {
			t.Fatal(err)
		}
		r.steps[lv] = spoil(append([]namedCheck(nil), r.at(lv)...))
		if _, err := r.judge(lv, &pod.ObjectMeta, &pod.Spec); err == nil {
			t.Errorf("%s: a wrong table went unnoticed", name)
		}
	}
}

func TestPodsHoldEveryFieldAndValueThatChecksRead(t *testing.T) {
	text := written(t, func(w io.Writer) error { return printPods(w, 3, 3000, 1, false) })
	wanted := []string{
		`"initContainers":`, `"ephemeralContainers":`, `"hostUsers":null`, `"hostUsers":false`,
		`"os":{"name":"windows"}`, `"os":{}`, `"os":null`, `"securityContext":null`, `"securityContext":{}`,
		`"capabilities":null`, `"capabilities":{}`, `"add":[]`, `"CAP_CHOWN"`, `"chown"`,
		`"appArmorProfile":{}`, `"seccompProfile":{}`, `"hostProcess":true`, `"procMount":"Unmasked"`,
		`"runAsNonRoot":null`, `"runAsUser":0`, `"runAsUser":null`, `"hostPort":80`, `"hostPort":-1`,
		`"startupProbe":`, `"readinessProbe":`, `"postStart":`, `"preStop":`, `"tcpSocket":{"host":`,
		`"containers":null`, `"containers":[null`, `"volumes":[null`, `"hostPath":{}`, `"hostPath":null`,
		`container.apparmor.security.beta.kubernetes.io/`, `seccomp.security.alpha.kubernetes.io/pod`,
		`container.seccomp.security.alpha.kubernetes.io/`, "soft\u00adhyphen", `\u2028`, `\u0001`, "😀", "\ue000",
		`"HostNetwork":true`, `"runtimeClassName":""`, `"version":"v1.99"`, `"version":"latest"`,
	}
	for _, names := range [][]string{knownSysctls, legacyVolumes, allowedVolumes, defaultCapabilities} {
		for _, name := range names {
			wanted = append(wanted, `"`+name+`"`)
		}
	}
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("no pod with %s", want)
		}
	}
}

func TestRequestsMeetEveryAnswerOfUpstream(t *testing.T) {
	text := written(t, func(w io.Writer) error { return printRequests(w, 3, 6000) })
	for _, want := range []string{
		`"message":"pods is forbidden: violates PodSecurity`, `"message":"pods \"web\" is forbidden: violates`,
		`failed to lookup namespace`, `"message":"failed to decode object"`, `"message":"failed to decode pod"`,
		`"message":"failed to decode old object"`, `"message":"failed to decode old pod"`,
		`"message":"failed to decode  old object"`, `"message":"failed to decode  old namespace"`,
		`"message":"failed to decode namespace"`, `failed to extract pod template: unexpected object type`,
		`"error":"failed to decode object: `, `"exempt":"namespace"`, `"exempt":"user"`, `"exempt":"runtimeClass"`,
		`"enforce-policy":"privileged:latest"`, `"audit-violations":"would violate PodSecurity`,
		`Failed to parse policy: [`, `Failed to parse policy: metadata`, `is invalid: metadata.labels[`,
		`is invalid: [metadata.labels[`, `violate the new PodSecurity enforce level`, ` (and 1 other pod): `,
		` other pods): `, `failed to list pods while checking`, `is exempt from Pod Security, and the policy (enforce=`,
		`and the policy (audit=`, `"panic":`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no answer with %s", want)
		}
	}
	for _, target := range templateTargets {
		if !strings.Contains(text, `"resource":"`+target.resource+`"`) {
			t.Errorf("no request about %s", target.resource)
		}
	}
}

func TestTheFrozenDataIsWhatTheProgramWrites(t *testing.T) {
	dir := t.TempDir()
	if err := freeze(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pods.jsonl", "requests.jsonl", "checks.json", "printable.json"} {
		fresh, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		frozen, err := os.ReadFile(filepath.Join("frozen", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(fresh, frozen) {
			t.Errorf("%s is stale: run `go run . freeze`", name)
		}
	}
}

// Upstream's fixtures say pass or fail; judged as they stand, all but the volume
// without a source (which an API server defaults to emptyDir) agree.
func TestFixturesAgreeWithTheirNames(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(written(t, printFixtures)), "\n")
	if len(lines) != 4537 {
		t.Errorf("%d fixtures", len(lines))
	}
	for _, text := range lines {
		var line fixtureLine
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		passes := len(line.Violations) == 0
		defaulted := line.Expect == "pass" && filepath.Base(line.Path) == "restrictedvolumes0.yaml"
		if passes != (line.Expect == "pass") && !defaulted {
			t.Errorf("%s: %v", line.Path, line.Violations)
		}
	}
}

func TestConfigurationsAreReadAsUpstreamReadsThem(t *testing.T) {
	for text, want := range map[string]string{
		"apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\n": "",
		"apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\n" +
			"exemptions: {runtimeClassNames: [a]}\n": "unknown field",
		"apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\n" +
			"defaults: {enforce: none}\n": "defaults.enforce",
	} {
		line := readConfig([]byte(text))
		if line.OK != (want == "") || !strings.Contains(strings.Join(line.Errors, " "), want) {
			t.Errorf("%q gives %+v", text, line)
		}
	}
	if config := readConfig(nil).Config; config == nil || config.Defaults.Enforce != string(api.LevelPrivileged) {
		t.Errorf("no file gives %+v", config)
	}
}
