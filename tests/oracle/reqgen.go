package main

import (
	"encoding/json"
	"fmt"
)

// target is a kind and its resource, with the path to its pod template.
type target struct {
	group, version, resource, kind string
	template                       []string
}

var (
	podTarget       = target{"", "v1", "pods", "Pod", nil}
	namespaceTarget = target{"", "v1", "namespaces", "Namespace", nil}

	templateTargets = []target{
		{"", "v1", "replicationcontrollers", "ReplicationController", []string{"spec", "template"}},
		{"", "v1", "podtemplates", "PodTemplate", []string{"template"}},
		{"apps", "v1", "deployments", "Deployment", []string{"spec", "template"}},
		{"apps", "v1", "replicasets", "ReplicaSet", []string{"spec", "template"}},
		{"apps", "v1", "statefulsets", "StatefulSet", []string{"spec", "template"}},
		{"apps", "v1", "daemonsets", "DaemonSet", []string{"spec", "template"}},
		{"batch", "v1", "jobs", "Job", []string{"spec", "template"}},
		{"batch", "v1", "cronjobs", "CronJob", []string{"spec", "jobTemplate", "spec", "template"}},
	}

	// Kinds that hold no pod: decodable ones, unknown ones, and versions gone by.
	otherTargets = []target{
		{"", "v1", "configmaps", "ConfigMap", nil},
		{"", "v1", "serviceaccounts", "ServiceAccount", nil},
		{"shop.example", "v1alpha1", "widgets", "Widget", nil},
		{"extensions", "v1beta1", "deployments", "Deployment", []string{"spec", "template"}},
		{"batch", "v1beta1", "cronjobs", "CronJob", []string{"spec", "jobTemplate", "spec", "template"}},
		{"apps", "v1", "controllerrevisions", "ControllerRevision", nil},
	}
)

func (t target) apiVersion() string {
	if t.group == "" {
		return t.version
	}
	return t.group + "/" + t.version
}

func (t target) gvk() obj {
	return obj{"group": t.group, "version": t.version, "kind": t.kind}
}

func (t target) gvr() obj {
	return obj{"group": t.group, "version": t.version, "resource": t.resource}
}

// request holds the fields of an AdmissionRequest that matter, as trees.
type request struct {
	target
	operation, subresource string
	name, namespace        string
	object, old            any
}

// review writes the envelope. The requestKind, options and dryRun are there to
// be ignored; requestSubResource decides, subResource is there to be ignored.
func (r request) review(g gen) obj {
	fields := obj{
		"uid":       fmt.Sprintf("%08x-0000-4000-8000-%012x", g.Uint32(), g.Uint64()>>16),
		"kind":      r.gvk(),
		"resource":  r.gvr(),
		"operation": r.operation,
		"userInfo":  obj{"username": pick(g, usernames), "groups": list{"system:authenticated"}},
		"object":    r.object,
		"oldObject": r.old,
	}
	g.put(fields, 50, "requestKind", among(r.gvk(), obj{"group": "x", "version": "v9", "kind": "Pod"}))
	g.put(fields, 50, "requestResource", among(r.gvr(), obj{"group": "x", "version": "v9", "resource": "pods"}))
	g.put(fields, 40, "dryRun", among(true, false, nil))
	g.put(fields, 30, "options", among(obj{"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}, nil))
	if r.name != "" || g.chance(20) {
		fields["name"] = r.name
	}
	if r.namespace != "" || g.chance(20) {
		fields["namespace"] = r.namespace
	}
	if r.subresource != "" {
		fields["subResource"], fields["requestSubResource"] = r.subresource, r.subresource
	}
	if g.chance(4) {
		fields["subResource"] = pick(g, podSubresources)
	}
	if g.chance(3) {
		delete(fields, "requestSubResource")
	}
	if g.chance(3) {
		fields["userInfo"] = pick(g, []any{nil, obj{}, obj{"username": ""}, obj{"username": nil}})
	}
	return obj{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": fields}
}

// genRequest draws a request and the cluster it meets.
func genRequest(g gen) (*requestCase, error) {
	var r request
	pods := list{}
	switch n := g.IntN(100); {
	case n < 45:
		r = podRequest(g)
	case n < 72:
		r = namespaceRequest(g)
		if r.operation == "UPDATE" {
			pods = existingPods(g)
		}
	case n < 95:
		r = templateRequest(g)
	default:
		r = otherRequest(g)
	}
	if g.chance(4) {
		confuse(g, &r)
	}
	c := &requestCase{
		Namespaces: genNamespaces(g, r.namespace),
		Pods:       []json.RawMessage{},
		PodsError:  g.chance(4),
	}
	var err error
	if c.Config, err = json.Marshal(genConfig(g)); err != nil {
		return nil, err
	}
	if c.Review, err = json.Marshal(r.review(g)); err != nil {
		return nil, err
	}
	for _, pod := range pods {
		text, err := json.Marshal(pod)
		if err != nil {
			return nil, err
		}
		c.Pods = append(c.Pods, text)
	}
	return c, nil
}

// confuse makes the parts of a request disagree, or the object unreadable as a
// whole.
func confuse(g gen, r *request) {
	switch g.IntN(8) {
	case 0: // a resource whose object is of another kind
		other := pick(g, append([]target{podTarget, namespaceTarget}, templateTargets...))
		r.resource, r.group, r.version = other.resource, other.group, other.version
	case 1:
		r.kind = pick(g, []string{"Pod", "Deployment", "Widget", "PodList", ""})
	case 2:
		r.object = nil
	case 3:
		r.old = nil
	case 4:
		r.object = pick(g, []any{"text", list{}, 5, true, obj{}})
	case 5: // the request's kind stands in for what the object does not name
		if o, ok := r.object.(obj); ok {
			delete(o, pick(g, []string{"kind", "apiVersion"}))
		}
	case 6:
		if o, ok := r.object.(obj); ok {
			o["kind"] = pick(g, []string{"Pod", "Deployment", "Namespace", "Widget"})
		}
	default:
		if o, ok := r.object.(obj); ok {
			o["apiVersion"] = pick(g, []string{"v1", "v2", "apps/v1", "shop.example/v1"})
		}
	}
}
