package main

// The generator of pods: a share starts from a pod that satisfies restricted at
// every version and gets a few mutations, so that single checks decide; a share
// is wild, so that checks meet in one pod.

var containerLists = []string{"initContainers", "containers", "ephemeralContainers"}

func genPod(g gen) obj {
	var pod obj
	switch n := g.IntN(100); {
	case n < 62:
		pod = compliantPod(g)
		for range 1 + g.IntN(3) {
			pick(g, mutations)(g, pod)
		}
	case n < 66:
		pod = compliantPod(g)
	case n < 90:
		pod = wildPod(g)
	default:
		pod = barePod(g)
	}
	if g.chance(25) {
		addNoise(g, pod)
	}
	return pod
}

func podMeta(g gen) obj {
	m := obj{"name": pick(g, podNames)}
	g.put(m, 30, "namespace", among("shop"))
	g.put(m, 40, "labels", among(obj{"app": "web"}, obj{}))
	g.put(m, 20, "annotations", among(obj{"team": "shop"}, obj{}))
	return m
}

var (
	podNames       = []string{"web", "api", "worker-0", "worker-1", "db-0", "Z", "a"}
	containerNames = []string{"web", "app", "init", "sidecar", "debug", "b", "a", "B"}
	images         = []string{"registry.example/web:1", "registry.example/web:2", "busybox", ""}
)

func containerName(g gen) string {
	if g.chance(8) {
		return oddText(g)
	}
	return pick(g, containerNames)
}

func newContainer(g gen) obj {
	c := obj{"name": containerName(g), "image": pick(g, images)}
	g.put(c, 10, "env", among(list{obj{"name": "A", "value": "<b>"}}, list{}))
	g.put(c, 10, "resources", among(obj{"limits": obj{"cpu": "1"}}, obj{}))
	return c
}

// compliantPod satisfies restricted at every version. What may be said at the
// pod or at the container is said at either or both.
func compliantPod(g gen) obj {
	atPod := g.chance(60)
	spec := obj{}
	if atPod {
		spec["securityContext"] = obj{
			"runAsNonRoot":   true,
			"seccompProfile": obj{"type": pick(g, []string{"RuntimeDefault", "Localhost"})},
		}
	}
	for i, key := range containerLists {
		containers := list{}
		for range []int{g.IntN(2), 1 + g.IntN(2), g.IntN(2)}[i] {
			c := newContainer(g)
			c["securityContext"] = compliantContext(g, atPod)
			containers = append(containers, c)
		}
		if len(containers) > 0 {
			spec[key] = containers
		}
	}
	g.put(spec, 30, "volumes", func(g gen) any { return g.some(0, 2, allowedVolume) })
	return obj{"apiVersion": "v1", "kind": "Pod", "metadata": podMeta(g), "spec": spec}
}

func compliantContext(g gen, atPod bool) obj {
	drop := list{"ALL"}
	if g.chance(10) {
		drop = append(drop, capability(g))
	}
	sc := obj{"allowPrivilegeEscalation": false, "capabilities": obj{"drop": drop}}
	if !atPod || g.chance(15) {
		sc["runAsNonRoot"] = true
		sc["seccompProfile"] = obj{"type": "RuntimeDefault"}
	}
	g.put(sc, 10, "runAsUser", among(1000))
	g.put(sc, 10, "privileged", among(false))
	return sc
}

// barePod names little: the answers to what is absent.
func barePod(g gen) obj {
	spec := obj{}
	for _, key := range containerLists {
		g.put(spec, 40, key, func(g gen) any {
			return g.some(0, 2, func(g gen) any { return newContainer(g) })
		})
	}
	pod := obj{"apiVersion": "v1", "kind": "Pod", "metadata": podMeta(g), "spec": spec}
	if g.chance(50) {
		pick(g, mutations)(g, pod)
	}
	return pod
}

func wildPod(g gen) obj {
	spec := obj{}
	for _, key := range []string{"hostNetwork", "hostPID", "hostIPC"} {
		g.put(spec, 25, key, among(true, true, false, nil))
	}
	g.put(spec, 35, "hostUsers", among(true, false, false, nil))
	g.put(spec, 30, "os", podOS)
	g.put(spec, 60, "securityContext", podContext)
	g.put(spec, 40, "volumes", func(g gen) any {
		return g.some(0, 4, func(g gen) any {
			if g.chance(30) {
				return allowedVolume(g)
			}
			return badVolume(g)
		})
	})
	g.put(spec, 15, "runtimeClassName", runtimeClass)
	for _, key := range containerLists {
		g.put(spec, 75, key, func(g gen) any { return g.some(0, 4, wildContainer) })
	}
	pod := obj{"apiVersion": "v1", "kind": "Pod", "metadata": podMeta(g), "spec": spec}
	if g.chance(40) {
		annotations := child(pod["metadata"].(obj), "annotations")
		for range 1 + g.IntN(4) {
			name, _ := anyContainer(g, spec)["name"].(string)
			profileAnnotation(g, annotations, name)
		}
	}
	return pod
}

func runtimeClass(g gen) any {
	return pick(g, []any{"gvisor", "kata", "", nil, "Gvisor", oddText(g)})
}

func podContext(g gen) any {
	if g.chance(10) {
		return pick(g, []any{nil, obj{}})
	}
	sc := sharedContext(g)
	g.put(sc, 30, "sysctls", func(g gen) any { return g.some(0, 4, sysctl) })
	g.put(sc, 10, "fsGroup", among(0, 2000))
	g.put(sc, 10, "supplementalGroups", among(list{0}, list{}))
	return sc
}

// sharedContext draws the fields that pods and containers have in common.
func sharedContext(g gen) obj {
	sc := obj{}
	g.put(sc, 40, "runAsNonRoot", among(true, true, false, nil))
	g.put(sc, 35, "runAsUser", among(0, 1000, nil))
	g.put(sc, 30, "seLinuxOptions", seLinuxOptions)
	g.put(sc, 40, "seccompProfile", seccompProfile)
	g.put(sc, 30, "appArmorProfile", appArmorProfile)
	g.put(sc, 20, "windowsOptions", windowsOptions)
	return sc
}

func containerContext(g gen) any {
	if g.chance(10) {
		return pick(g, []any{nil, obj{}})
	}
	sc := sharedContext(g)
	g.put(sc, 25, "privileged", among(true, false, nil))
	g.put(sc, 60, "allowPrivilegeEscalation", among(false, false, true, nil))
	g.put(sc, 60, "capabilities", capabilities)
	g.put(sc, 30, "procMount", procMount)
	g.put(sc, 10, "readOnlyRootFilesystem", among(true))
	return sc
}

func procMount(g gen) any {
	return pick(g, []any{"Default", "Unmasked", "Unmasked", "", nil, "default", oddText(g)})
}

func wildContainer(g gen) any {
	c := newContainer(g)
	g.put(c, 75, "securityContext", containerContext)
	g.put(c, 30, "ports", func(g gen) any { return g.some(0, 3, port) })
	for _, key := range []string{"livenessProbe", "readinessProbe", "startupProbe"} {
		g.put(c, 15, key, probe)
	}
	g.put(c, 15, "lifecycle", lifecycle)
	return c
}

// anyContainer returns one container of any list, making one when there is none.
func anyContainer(g gen, spec obj) obj {
	var all []obj
	for _, key := range containerLists {
		all = append(all, containersIn(spec, key)...)
	}
	if len(all) == 0 {
		c := newContainer(g)
		spec[pick(g, containerLists)] = list{c}
		return c
	}
	return pick(g, all)
}

// containersIn returns the elements of a container list that are objects.
func containersIn(spec obj, key string) []obj {
	var out []obj
	elements, _ := spec[key].(list)
	for _, e := range elements {
		if c, ok := e.(obj); ok {
			out = append(out, c)
		}
	}
	return out
}
