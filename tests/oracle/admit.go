package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/pod-security-admission/admission"
	"k8s.io/pod-security-admission/admission/api/load"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/metrics"
	"k8s.io/pod-security-admission/policy"
)

// requestCase is a request and the cluster it meets. Pods are the pods that
// exist in the namespace the request is about.
type requestCase struct {
	Config     json.RawMessage      `json:"config"`
	Namespaces map[string]namespace `json:"namespaces"`
	Pods       []json.RawMessage    `json:"pods"`
	PodsError  bool                 `json:"podsError"`
	Review     json.RawMessage      `json:"review"`
}

// namespace is what a lookup gives: labels, or an error. A namespace that is
// not listed is not found.
type namespace struct {
	Labels map[string]string `json:"labels"`
	Error  string            `json:"error,omitempty"`
}

// requestLine is one line of the "requests" stream. Where upstream's code panics
// (its webhook then answers HTTP 500), Response is null and Panic says why.
type requestLine struct {
	requestCase
	Response *admissionv1.AdmissionResponse `json:"response"`
	Panic    string                         `json:"panic,omitempty"`
}

// GetNamespace answers as a client of the API server would.
func (c *requestCase) GetNamespace(_ context.Context, name string) (*corev1.Namespace, error) {
	found, ok := c.Namespaces[name]
	if !ok {
		return nil, apierrors.NewNotFound(corev1.Resource("namespaces"), name)
	}
	if found.Error != "" {
		return nil, errors.New(found.Error)
	}
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: found.Labels}}, nil
}

// ListPods decodes anew at each call, since upstream reorders the list in place.
func (c *requestCase) ListPods(context.Context, string) ([]*corev1.Pod, error) {
	if c.PodsError {
		return nil, errors.New("the list of pods is not to be had")
	}
	pods := []*corev1.Pod{}
	for _, text := range c.Pods {
		pod, err := decodePod(text)
		if err != nil {
			panic(fmt.Sprintf("the generator made a pod that cannot exist: %v", err))
		}
		pods = append(pods, pod)
	}
	return pods, nil
}

// noMetrics drops what upstream counts.
type noMetrics struct{}

func (noMetrics) RecordEvaluation(metrics.Decision, api.LevelVersion, metrics.Mode, api.Attributes) {}
func (noMetrics) RecordExemption(api.Attributes)                                                    {}
func (noMetrics) RecordError(bool, api.Attributes)                                                  {}

var reviewKind = admissionv1.SchemeGroupVersion.WithKind("AdmissionReview")

// cutWarning begins the warning upstream gives when a second was not enough for
// the existing pods. No case here has enough pods for that to be an answer.
const cutWarning = "new PodSecurity enforce level only checked against"

// respond does what upstream's webhook does between reading the body and
// writing the answer.
func respond(ctx context.Context, evaluator policy.Evaluator, c *requestCase) (line requestLine, err error) {
	line.requestCase = *c
	config, err := load.LoadFromData(c.Config)
	if err != nil {
		return line, err
	}
	a := &admission.Admission{
		Configuration:    config,
		Evaluator:        evaluator,
		Metrics:          noMetrics{},
		PodSpecExtractor: admission.DefaultPodSpecExtractor{},
		NamespaceGetter:  c,
		PodLister:        c,
	}
	if err := errors.Join(a.CompleteConfiguration(), a.ValidateConfiguration()); err != nil {
		return line, err
	}
	decoded, _, err := decoder.Decode(c.Review, &reviewKind, nil)
	if err != nil {
		return line, err
	}
	review, ok := decoded.(*admissionv1.AdmissionReview)
	if !ok {
		return line, fmt.Errorf("not a review but a %T", decoded)
	}
	response, panicked := validate(ctx, a, api.RequestAttributes(review.Request, decoder))
	if panicked != "" {
		line.Panic = panicked
		return line, nil
	}
	for _, warning := range response.Warnings {
		if strings.HasPrefix(warning, cutWarning) {
			return line, errors.New("this machine was too slow to check a few pods in a second: run again")
		}
	}
	// Upstream shares its plain answers: copy before the uid is set.
	own := *response
	own.UID = review.Request.UID
	line.Response = &own
	return line, nil
}

// validate turns a panic of upstream's code into a text. A panic of the
// generator's making is no answer and goes on.
func validate(ctx context.Context, a *admission.Admission, attrs api.Attributes) (response *admissionv1.AdmissionResponse, panicked string) {
	defer func() {
		if p := recover(); p != nil {
			if text, ours := p.(string); ours {
				panic(text)
			}
			panicked = fmt.Sprint(p)
		}
	}()
	return a.Validate(ctx, attrs), ""
}

func printRequests(w io.Writer, seed, count uint64) error {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return err
	}
	ctx := klog.NewContext(context.Background(), logr.Discard())
	out := json.NewEncoder(w)
	for item := range count {
		c, err := genRequest(newGen(seed, item))
		if err == nil {
			var line requestLine
			if line, err = respond(ctx, evaluator, c); err == nil {
				err = out.Encode(line)
			}
		}
		if err != nil {
			return fmt.Errorf("seed %d, item %d: %w", seed, item, err)
		}
	}
	return nil
}
