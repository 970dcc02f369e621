package main

import (
	"maps"
	"slices"
)

// nullableKeys may be added with a null to any object: where the key is a known
// field, null means absent; where not, it is ignored; in a map of texts it is
// an empty text.
var nullableKeys = []string{
	"securityContext", "capabilities", "add", "drop", "seccompProfile", "appArmorProfile",
	"seLinuxOptions", "windowsOptions", "hostProcess", "runAsUser", "runAsNonRoot", "type",
	"procMount", "privileged", "allowPrivilegeEscalation", "hostUsers", "hostNetwork", "os",
	"volumes", "containers", "initContainers", "ephemeralContainers", "ports", "hostPort",
	"livenessProbe", "lifecycle", "httpGet", "host", "sysctls", "annotations", "labels",
	"runtimeClassName", "hostPath", "emptyDir", "name", "user", "role", "image",
}

// node is a place in a tree: an object with one of its keys, or a list.
type node struct {
	holder obj
	key    string
}

// addNoise puts nulls and empty values into a tree. The result is judged after
// it, so noise may change what the tree means.
func addNoise(g gen, root obj) {
	for range 1 + g.IntN(3) {
		nodes := nodesOf(root, nil)
		n := pick(g, nodes)
		value := n.holder[n.key]
		switch g.IntN(5) {
		case 0:
			key := pick(g, nullableKeys)
			if _, taken := n.holder[key]; !taken {
				n.holder[key] = nil
			}
		case 1:
			// "kind" and "apiVersion" too: the request's kind then names the type.
			n.holder[n.key] = nil
		default:
			n.holder[n.key] = emptied(g, value)
		}
	}
}

// emptied makes an object or list empty or puts a null into it; other values stay.
func emptied(g gen, value any) any {
	switch t := value.(type) {
	case obj:
		if g.chance(40) {
			return obj{}
		}
		t[pick(g, nullableKeys)] = nil
		return t
	case list:
		if g.chance(30) {
			return list{}
		}
		return slices.Insert(t, g.IntN(len(t)+1), any(nil))
	default:
		return value
	}
}

// nodesOf lists the places of a tree in a fixed order (Go's map order is random).
func nodesOf(m obj, into []node) []node {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		into = append(into, node{m, key})
		switch t := m[key].(type) {
		case obj:
			into = nodesOf(t, into)
		case list:
			for _, e := range t {
				if o, ok := e.(obj); ok {
					into = nodesOf(o, into)
				}
			}
		}
	}
	return into
}
