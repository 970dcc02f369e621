package main

import "maps"

// podSubresources lists the ignored ones, the known others, and unknown ones.
var podSubresources = []string{
	"exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status",
	"ephemeralcontainers", "resize", "ephemeralcontainers", "resize", "teleport", "Status", "exec ",
}

// operation draws mostly CREATE and UPDATE; the others are matched by no
// webhook of ours, and are answered all the same.
func operation(g gen, updates int) string {
	switch n := g.IntN(100); {
	case n < updates:
		return "UPDATE"
	case n < 94:
		return "CREATE"
	case n < 98:
		return "DELETE"
	default:
		return "CONNECT"
	}
}

// requestNamespace is now and then one that no list of namespaces holds.
func requestNamespace(g gen) string {
	if g.chance(2) {
		return pick(g, []string{"", `od"d`})
	}
	return pick(g, namespaceNames)
}

func podRequest(g gen) request {
	pod := genPod(g)
	setRuntimeClass(g, 12, pod)
	r := request{target: podTarget, operation: operation(g, 45), namespace: requestNamespace(g)}
	r.name, _ = child(pod, "metadata")["name"].(string)
	if r.operation == "CREATE" && g.chance(15) {
		meta := child(pod, "metadata")
		delete(meta, "name")
		meta["generateName"] = "web-"
		r.name = ""
	}
	if g.chance(25) {
		r.subresource = pick(g, podSubresources)
	}
	r.object = pod
	switch r.operation {
	case "UPDATE":
		r.object, r.old = updatedPod(g, pod), pod
	case "DELETE":
		r.object, r.old = nil, pod
	case "CONNECT":
		r.kind, r.subresource = "PodExecOptions", pick(g, []string{"exec", "attach", ""})
		r.object = obj{"apiVersion": "v1", "kind": r.kind, "command": list{"sh"}}
	}
	if g.chance(8) {
		broken := r.object
		if r.old != nil && g.chance(40) {
			broken = r.old
		}
		if o, ok := broken.(obj); ok {
			breakPod(g, o)
		}
	}
	return r
}

func templateRequest(g gen) request {
	t := pick(g, templateTargets)
	object, template := templated(g, t)
	r := request{target: t, operation: operation(g, 40), name: "web", namespace: requestNamespace(g), object: object}
	if g.chance(12) {
		r.subresource = pick(g, []string{"status", "scale", "teleport"})
	}
	switch r.operation {
	case "UPDATE":
		r.old = clone(object)
	case "DELETE":
		r.object, r.old = nil, object
	}
	if g.chance(8) {
		breakPod(g, template)
	}
	if g.chance(8) {
		dropTemplate(g, object, t)
	}
	return r
}

// templated wraps a generated pod into an object of the kind.
func templated(g gen, t target) (object, template obj) {
	pod := genPod(g)
	setRuntimeClass(g, 12, pod)
	delete(child(pod, "metadata"), "name")
	template = obj{"metadata": pod["metadata"], "spec": specOf(pod)}
	object = obj{
		"apiVersion": t.apiVersion(), "kind": t.kind,
		"metadata": obj{"name": "web", "namespace": "shop"},
	}
	setAt(object, template, t.template...)
	return object, template
}

// dropTemplate takes away the template or what holds it.
func dropTemplate(g gen, object obj, t target) {
	depth := g.IntN(len(t.template))
	holder := object
	for _, key := range t.template[:depth] {
		holder = child(holder, key)
	}
	key := t.template[depth]
	switch g.IntN(3) {
	case 0:
		delete(holder, key)
	case 1:
		holder[key] = nil
	default:
		holder[key] = obj{}
	}
}

func otherRequest(g gen) request {
	t := pick(g, otherTargets)
	r := request{target: t, operation: operation(g, 30), name: "web", namespace: requestNamespace(g)}
	if t.template != nil {
		r.object, _ = templated(g, t)
	} else {
		r.object = obj{"apiVersion": t.apiVersion(), "kind": t.kind, "metadata": obj{"name": "web"}}
	}
	if r.operation == "DELETE" {
		r.object, r.old = nil, r.object
	}
	return r
}

func namespaceRequest(g gen) request {
	name := pick(g, namespaceNames)
	labels := genLabels(g)
	r := request{target: namespaceTarget, operation: operation(g, 65), name: name, namespace: name}
	r.object = namespaceObject(g, name, labels)
	if g.chance(5) {
		r.namespace = pick(g, []string{"", "team-a"})
	}
	if g.chance(3) {
		r.name = pick(g, []string{"", "other"})
	}
	if g.chance(6) {
		r.subresource = pick(g, []string{"status", "finalize", "teleport"})
	}
	switch r.operation {
	case "UPDATE":
		r.old = namespaceObject(g, name, oldLabels(g, labels))
	case "DELETE":
		r.object, r.old = nil, r.object
	}
	if g.chance(5) {
		broken := pick(g, []any{r.object, r.old})
		if o, ok := broken.(obj); ok {
			w := pick(g, wrongNamespaces)
			setAt(o, clone(w.value), w.path...)
		}
	}
	return r
}

func namespaceObject(g gen, name string, labels map[string]string) obj {
	meta := obj{"name": name}
	if labels != nil {
		l := obj{}
		for key, value := range labels {
			l[key] = value
		}
		if g.chance(3) {
			// A null among texts is an empty text, and so a malformed label.
			l[labelPrefix+pick(g, labelKeys)] = nil
		}
		meta["labels"] = l
	} else if g.chance(50) {
		meta["labels"] = nil
	}
	return obj{"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
}

// oldLabels draws what the labels were before: mostly one or two differ.
func oldLabels(g gen, labels map[string]string) map[string]string {
	switch n := g.IntN(100); {
	case n < 15:
		return genLabels(g)
	case n < 25:
		return labels
	}
	old := maps.Clone(labels)
	if old == nil {
		old = map[string]string{}
	}
	for range 1 + g.IntN(2) {
		key := pick(g, labelKeys)
		if g.chance(60) {
			key = pick(g, labelKeys[:2])
		}
		if g.chance(30) {
			delete(old, labelPrefix+key)
		} else {
			old[labelPrefix+key] = drawLabel(g, key, 8)
		}
	}
	return old
}
