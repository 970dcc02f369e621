package main

import (
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
)

// scheme registers the four groups that upstream's webhook registers, no more:
// a fifth would turn some of its decode errors into decoded objects.
var scheme = runtime.NewScheme()

// decoder is the one upstream's webhook uses: non-strict (unknown fields are
// ignored), case-sensitive keys, no defaulting.
var decoder = serializer.NewCodecFactory(scheme).UniversalDeserializer()

func init() {
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(appsv1.AddToScheme(scheme))
	utilruntime.Must(batchv1.AddToScheme(scheme))
	utilruntime.Must(admissionv1.AddToScheme(scheme))
}
