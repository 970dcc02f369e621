package main

import "slices"

// updatedPod copies a pod and changes nothing, something that matters to
// upstream (images, the number of containers, ephemeral containers), or
// something that does not.
func updatedPod(g gen, old obj) obj {
	pod := clone(old).(obj)
	for range g.IntN(3) {
		if g.chance(55) {
			significantChange(g, pod)
		} else {
			insignificantChange(g, pod)
		}
	}
	return pod
}

func significantChange(g gen, pod obj) {
	spec := specOf(pod)
	key := pick(g, containerLists)
	containers, _ := spec[key].(list)
	switch g.IntN(6) {
	case 0:
		spec[key] = append(containers, wildContainer(g))
	case 1:
		if len(containers) > 0 {
			at := g.IntN(len(containers))
			spec[key] = slices.Delete(containers, at, at+1)
		}
	case 2: // images are compared by index, but by name for ephemeral containers
		slices.Reverse(containers)
	case 3:
		c := newContainer(g)
		c["image"] = "registry.example/debug:9"
		ephemeral, _ := spec["ephemeralContainers"].(list)
		spec["ephemeralContainers"] = append(ephemeral, c)
	default:
		if found := containersIn(spec, key); len(found) > 0 {
			pick(g, found)["image"] = pick(g, []any{"registry.example/web:3", "", nil, "busybox"})
		}
	}
}

func insignificantChange(g gen, pod obj) {
	spec := specOf(pod)
	switch g.IntN(6) {
	case 0:
		child(child(pod, "metadata"), "labels")["changed"] = "true"
	case 1:
		profileAnnotation(g, child(child(pod, "metadata"), "annotations"), "web")
	case 2:
		spec["activeDeadlineSeconds"] = 60
	case 3:
		spec["tolerations"] = list{obj{"operator": "Exists"}}
	case 4: // only upstream's blindness lets this one pass
		spec["hostNetwork"] = true
	default:
		for _, key := range containerLists {
			for _, c := range containersIn(spec, key) {
				c["securityContext"] = obj{"privileged": true}
			}
		}
	}
}

// wrong is a value of the wrong type at a path of a pod or template. Only
// fields that checks read are listed: tidegate parses no others.
type wrong struct {
	value any
	path  []string
}

func at(value any, path ...string) wrong { return wrong{value, path} }

var wrongPods = []wrong{
	at("text", "spec"), at(list{}, "spec"), at("text", "metadata"),
	at(list{}, "metadata", "annotations"), at(1, "metadata", "annotations", "a"),
	at("yes", "spec", "hostNetwork"), at(1, "spec", "hostPID"), at(obj{}, "spec", "hostIPC"),
	at("false", "spec", "hostUsers"), at("linux", "spec", "os"), at(1, "spec", "os", "name"),
	at(5, "spec", "runtimeClassName"), at(obj{}, "spec", "containers"), at("text", "spec", "containers"),
	at(obj{}, "spec", "initContainers"), at(true, "spec", "ephemeralContainers"),
	at("text", "spec", "containers", "0"), at(list{}, "spec", "containers", "0"),
	at(5, "spec", "containers", "0", "image"), at(true, "spec", "containers", "0", "name"),
	at("text", "spec", "securityContext"), at(obj{}, "spec", "securityContext", "sysctls"),
	at(1, "spec", "securityContext", "sysctls", "0", "name"),
	at("text", "spec", "securityContext", "sysctls", "0"),
	at("true", "spec", "securityContext", "runAsNonRoot"),
	at("0", "spec", "securityContext", "runAsUser"), at(1.5, "spec", "securityContext", "runAsUser"),
	at("text", "spec", "securityContext", "seccompProfile"),
	at(list{}, "spec", "securityContext", "seccompProfile", "type"),
	at(obj{}, "spec", "volumes"), at("text", "spec", "volumes", "0"),
	at(1, "spec", "volumes", "0", "name"), at("/etc", "spec", "volumes", "0", "hostPath"),
	at(list{}, "spec", "volumes", "0", "hostPath"),
	inContainer("text"), inContainer(list{}),
	inContainer("ALL", "capabilities"), inContainer("ALL", "capabilities", "add"),
	inContainer(list{1}, "capabilities", "drop"), inContainer(1, "privileged"),
	inContainer("false", "allowPrivilegeEscalation"), inContainer(1, "procMount"),
	inContainer(1, "seLinuxOptions", "type"), inContainer("text", "seLinuxOptions"),
	inContainer(false, "seLinuxOptions", "user"), inContainer(7, "appArmorProfile", "type"),
	inContainer("true", "windowsOptions", "hostProcess"), inContainer(list{}, "windowsOptions"),
	at(obj{}, "spec", "containers", "0", "ports"),
	at("80", "spec", "containers", "0", "ports", "0", "hostPort"),
	at(99999999999, "spec", "containers", "0", "ports", "0", "hostPort"),
	at(80.5, "spec", "containers", "0", "ports", "0", "hostPort"),
	at("text", "spec", "containers", "0", "livenessProbe"),
	at(1, "spec", "containers", "0", "readinessProbe", "httpGet", "host"),
	at(obj{}, "spec", "initContainers", "0", "lifecycle", "postStart", "tcpSocket", "host"),
	at(list{}, "spec", "ephemeralContainers", "0", "lifecycle"),
}

func inContainer(value any, path ...string) wrong {
	return wrong{value, append([]string{"spec", "containers", "0", "securityContext"}, path...)}
}

var wrongNamespaces = []wrong{
	at("text", "metadata"), at(list{}, "metadata", "labels"),
	at(1, "metadata", "labels", labelPrefix+"enforce"), at(obj{}, "metadata", "labels", labelPrefix+"warn"),
	at(true, "metadata", "labels", labelPrefix+"audit-version"), at(5, "metadata", "name"),
}

// breakPod puts a value of the wrong type into a pod or template.
func breakPod(g gen, root obj) {
	w := pick(g, wrongPods)
	setAt(root, clone(w.value), w.path...)
}
