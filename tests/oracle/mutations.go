package main

// A mutation changes one thing that one check looks at, to a value that may be
// good or bad.
type mutation func(g gen, pod obj)

// mutations holds at least one entry for every check.
var mutations = []mutation{
	mutateHostNamespaces, mutateHostUsers, mutateOS,
	onContext("appArmorProfile", appArmorProfile),
	onContext("seLinuxOptions", seLinuxOptions),
	onContext("seccompProfile", seccompProfile),
	onContext("windowsOptions", windowsOptions),
	onContext("runAsNonRoot", among(true, false, nil)),
	onContext("runAsUser", among(0, 0, 1000, nil)),
	onContainerContext("capabilities", capabilities),
	onContainerContext("capabilities", addedCapabilities),
	onContainerContext("capabilities", among(nil, obj{}, obj{"drop": list{}}, obj{"add": list{}})),
	onContainerContext("privileged", among(true, true, false, nil)),
	onContainerContext("allowPrivilegeEscalation", among(true, false, nil)),
	onContainerContext("procMount", procMount),
	onContainer("ports", func(g gen) any { return g.some(1, 3, port) }),
	onContainer("livenessProbe", probe), onContainer("readinessProbe", probe),
	onContainer("startupProbe", probe), onContainer("lifecycle", lifecycle),
	onContainer("securityContext", among(nil, obj{})),
	onContainer("name", func(g gen) any { return oddText(g) }),
	mutateSysctls, mutateVolumes, mutateHostPath, mutateAnnotations, mutateAnnotations,
	mutateProcMountInUserNamespace, mutatePodContext, mutateRuntimeClass,
	mutateDuplicateName, mutateUnknownKeys, mutateContainerLists, mutateUnset, mutateUnset,
}

func specOf(pod obj) obj { return child(pod, "spec") }

func onContainer(key string, draw func(gen) any) mutation {
	return func(g gen, pod obj) { anyContainer(g, specOf(pod))[key] = draw(g) }
}

func onContainerContext(key string, draw func(gen) any) mutation {
	return func(g gen, pod obj) {
		child(anyContainer(g, specOf(pod)), "securityContext")[key] = draw(g)
	}
}

// onContext sets a field that exists at both the pod and its containers.
func onContext(key string, draw func(gen) any) mutation {
	return func(g gen, pod obj) {
		if g.chance(40) {
			child(specOf(pod), "securityContext")[key] = draw(g)
			return
		}
		onContainerContext(key, draw)(g, pod)
	}
}

func addedCapabilities(g gen) any {
	return obj{"drop": list{"ALL"}, "add": g.some(1, 3, capability)}
}

func mutateHostNamespaces(g gen, pod obj) {
	for range 1 + g.IntN(2) {
		specOf(pod)[pick(g, []string{"hostNetwork", "hostPID", "hostIPC"})] = pick(g, []any{true, true, false, nil})
	}
}

func mutateHostUsers(g gen, pod obj) {
	specOf(pod)["hostUsers"] = pick(g, []any{true, false, false, nil})
}

func mutateOS(g gen, pod obj) { specOf(pod)["os"] = podOS(g) }

func mutateSysctls(g gen, pod obj) {
	child(specOf(pod), "securityContext")["sysctls"] = g.some(1, 3, sysctl)
}

func mutateVolumes(g gen, pod obj) {
	volumes, _ := specOf(pod)["volumes"].(list)
	specOf(pod)["volumes"] = append(volumes, g.some(1, 2, badVolume)...)
}

func mutateHostPath(g gen, pod obj) {
	v := namedVolume(g)
	v["hostPath"] = volumeSource("hostPath")(g)
	// Restricted lets a hostPath beside an allowed source pass, baseline does not.
	g.put(v, 30, pick(g, allowedVolumes), among(obj{}, nil))
	volumes, _ := specOf(pod)["volumes"].(list)
	specOf(pod)["volumes"] = append(volumes, v)
}

func mutateAnnotations(g gen, pod obj) {
	name, _ := anyContainer(g, specOf(pod))["name"].(string)
	annotations := child(child(pod, "metadata"), "annotations")
	for range 1 + g.IntN(2) {
		profileAnnotation(g, annotations, name)
	}
}

// mutateProcMountInUserNamespace meets the one place where baseline relaxes and
// restricted does not.
func mutateProcMountInUserNamespace(g gen, pod obj) {
	specOf(pod)["hostUsers"] = pick(g, []any{false, false, true})
	child(anyContainer(g, specOf(pod)), "securityContext")["procMount"] = "Unmasked"
}

func mutatePodContext(g gen, pod obj) {
	specOf(pod)["securityContext"] = pick(g, []any{nil, obj{}})
}

func mutateRuntimeClass(g gen, pod obj) {
	specOf(pod)["runtimeClassName"] = runtimeClass(g)
}

func mutateDuplicateName(g gen, pod obj) {
	name := anyContainer(g, specOf(pod))["name"]
	c := newContainer(g)
	c["name"] = name
	key := pick(g, containerLists)
	containers, _ := specOf(pod)[key].(list)
	specOf(pod)[key] = append(containers, c)
}

// mutateUnknownKeys adds what the decoder must ignore: unknown fields, and known
// ones in the wrong case.
func mutateUnknownKeys(g gen, pod obj) {
	spec := specOf(pod)
	switch g.IntN(4) {
	case 0:
		spec["HostNetwork"] = true
		spec["hostpid"] = "yes"
	case 1:
		spec["futureField"] = obj{"hostNetwork": true}
	case 2:
		child(anyContainer(g, spec), "securityContext")["Privileged"] = true
	default:
		anyContainer(g, spec)["SecurityContext"] = obj{"privileged": true}
	}
}

func mutateContainerLists(g gen, pod obj) {
	spec := specOf(pod)
	key := pick(g, containerLists)
	switch g.IntN(3) {
	case 0:
		delete(spec, key)
	case 1:
		spec[key] = list{}
	default:
		containers, _ := spec[key].(list)
		spec[key] = append(containers, wildContainer(g))
	}
}

// mutateUnset takes a required setting away.
func mutateUnset(g gen, pod obj) {
	spec := specOf(pod)
	holder := spec
	if g.chance(70) {
		holder = anyContainer(g, spec)
	}
	keys := []string{"allowPrivilegeEscalation", "capabilities", "runAsNonRoot", "seccompProfile"}
	delete(child(holder, "securityContext"), pick(g, keys))
}
