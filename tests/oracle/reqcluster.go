package main

// This file draws what a request meets: configuration, namespaces, existing pods.

const labelPrefix = "pod-security.kubernetes.io/"

var (
	namespaceNames = []string{"shop", "prod", "kube-system", "team-a"}
	usernames      = []string{
		"alice", "bob", "system:admin",
		"system:serviceaccount:kube-system:replicaset-controller",
	}
	runtimeClasses = []string{"gvisor", "kata", "exempt.example"}
	labelKeys      = []string{"enforce", "enforce-version", "audit", "audit-version", "warn", "warn-version"}

	badLevels = []string{
		"", "Baseline", "restricted ", "none", "baseline:latest", "RESTRICTED", `re"stricted`,
		"privilegéd", "base\u00adline",
	}
	badVersions = []string{
		"v1.01", "v2.1", "", "latest ", "v1.99999999999999999999", "1.25", "v1.-1", "v1.", "v1.2.3",
		"V1.25", "v1.25\n", "Latest", "v1.٣", "v01.5", "v1.x",
	}
)

func validLevel(g gen) any {
	return pick(g, []string{
		"restricted", "restricted", "restricted", "baseline", "baseline", "baseline", "privileged",
	})
}

// validVersion reaches past the newest table and past 32 bits.
func validVersion(g gen) any {
	if g.chance(2) {
		return pick(g, []string{"v1.4294967296", "v1.9223372036854775807", "v1.100"})
	}
	return randomVersion(g)
}

func genConfig(g gen) obj {
	config := obj{
		"apiVersion": "pod-security.admission.config.k8s.io/" +
			pick(g, []string{"v1", "v1", "v1", "v1beta1", "v1alpha1"}),
		"kind": "PodSecurityConfiguration",
	}
	if g.chance(70) {
		defaults := obj{}
		for i, key := range labelKeys {
			draw := validLevel
			if i%2 == 1 {
				draw = validVersion
			}
			g.put(defaults, 30, key, draw)
		}
		config["defaults"] = defaults
	}
	if g.chance(60) {
		exemptions := obj{}
		for _, e := range []struct {
			key     string
			from    []string
			percent int
		}{{"usernames", usernames, 9}, {"namespaces", namespaceNames, 11}, {"runtimeClasses", runtimeClasses, 60}} {
			exempt := list{}
			for _, name := range e.from {
				if g.chance(e.percent) {
					exempt = append(exempt, name)
				}
			}
			exemptions[e.key] = exempt
		}
		config["exemptions"] = exemptions
	}
	return config
}

// drawLabel draws the value of one of the six labels; one in bad is malformed.
func drawLabel(g gen, key string, badPercent int) string {
	level := key == "enforce" || key == "audit" || key == "warn"
	switch {
	case level && g.chance(badPercent):
		return pick(g, badLevels)
	case level:
		return validLevel(g).(string)
	case g.chance(badPercent):
		return pick(g, badVersions)
	default:
		return validVersion(g).(string)
	}
}

func genLabels(g gen) map[string]string {
	switch n := g.IntN(100); {
	case n < 3:
		return nil
	case n < 6:
		return map[string]string{"team": "shop"}
	case n < 10:
		return map[string]string{
			labelPrefix + "enforce": "privileged", labelPrefix + "audit": "privileged",
			labelPrefix + "warn": "privileged",
		}
	}
	labels := map[string]string{"kubernetes.io/metadata.name": "shop"}
	bad := 0
	if g.chance(20) {
		bad = 35
	}
	for _, key := range labelKeys {
		if g.chance(45) || key == "enforce" && g.chance(50) {
			labels[labelPrefix+key] = drawLabel(g, key, bad)
		}
	}
	return labels
}

// genNamespaces usually lists the namespace of the request.
func genNamespaces(g gen, wanted string) map[string]namespace {
	known := map[string]namespace{}
	for _, name := range namespaceNames {
		if name != wanted && g.chance(8) {
			known[name] = namespace{Labels: genLabels(g)}
		}
	}
	switch n := g.IntN(100); {
	case n < 4: // not found
	case n < 7:
		known[wanted] = namespace{Error: "connection refused"}
	default:
		known[wanted] = namespace{Labels: genLabels(g)}
	}
	return known
}

// existingPods draws up to six pods of up to three shapes, so that several share
// their reasons, and some share a controller.
func existingPods(g gen) list {
	var shapes []obj
	for range 1 + g.IntN(3) {
		shapes = append(shapes, genPod(g))
	}
	pods := list{}
	for range g.IntN(7) {
		pod := clone(pick(g, shapes)).(obj)
		meta := child(pod, "metadata")
		meta["name"] = pick(g, podNames) + pick(g, []string{"", "-1", "-x"})
		if g.chance(60) {
			owner := obj{
				"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web",
				"uid": pick(g, []string{"u1", "u2", "u3"}),
			}
			g.put(owner, 85, "controller", among(true, true, true, false, nil))
			meta["ownerReferences"] = list{owner}
		}
		setRuntimeClass(g, 15, pod)
		pods = append(pods, pod)
	}
	return pods
}

// setRuntimeClass names a class that a configuration may exempt.
func setRuntimeClass(g gen, percent int, holder obj) {
	if g.chance(percent) {
		specOf(holder)["runtimeClassName"] = pick(g, runtimeClasses)
	}
}
