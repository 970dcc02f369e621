package main

import (
	"encoding/json"
	"io"
	"os"

	admissionapi "k8s.io/pod-security-admission/admission/api"
	"k8s.io/pod-security-admission/admission/api/load"
	configscheme "k8s.io/pod-security-admission/admission/api/scheme"
	configv1 "k8s.io/pod-security-admission/admission/api/v1"
	"k8s.io/pod-security-admission/admission/api/validation"
)

// configLine is what upstream makes of one configuration file. Config is absent
// when the file could not be read as one.
type configLine struct {
	File   string                             `json:"file"`
	OK     bool                               `json:"ok"`
	Errors []string                           `json:"errors"`
	Config *configv1.PodSecurityConfiguration `json:"config,omitempty"`
}

func printConfigs(w io.Writer, files []string) error {
	out := json.NewEncoder(w)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		line := readConfig(data)
		line.File = file
		if err := out.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

func readConfig(data []byte) configLine {
	line := configLine{Errors: []string{}}
	config, err := load.LoadFromData(data)
	if err != nil {
		line.Errors = append(line.Errors, err.Error())
		return line
	}
	for _, e := range validation.ValidatePodSecurityConfiguration(config) {
		line.Errors = append(line.Errors, e.Error())
	}
	line.OK = len(line.Errors) == 0
	external := externalConfig(config)
	line.Config = &external
	return line
}

// externalConfig has the v1 field names; the internal type has none.
func externalConfig(config *admissionapi.PodSecurityConfiguration) configv1.PodSecurityConfiguration {
	external := configv1.PodSecurityConfiguration{}
	if err := configscheme.Scheme.Convert(config, &external, nil); err != nil {
		// Both types come from upstream and convert by generated code.
		panic(err)
	}
	external.SetGroupVersionKind(configv1.SchemeGroupVersion.WithKind("PodSecurityConfiguration"))
	return external
}
