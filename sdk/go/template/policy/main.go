// Who may be attached: pods of the namespaces that the configuration names.
package main

import (
	"log/slog"
	"slices"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/policy"
)

// Config is the policy's configuration.
type Config struct {
	// Namespaces are those whose pods may be attached.
	Namespaces []string `json:"namespaces"`
}

var plugin = policy.Export[Config]()

func main() {}

// Check says what is wrong beyond what types say.
func (c *Config) Check(pointer string) []wharfinger.Problem {
	if len(c.Namespaces) == 0 {
		return []wharfinger.Problem{wharfinger.Problemf(pointer+"/namespaces", "is empty: nobody could be attached")}
	}
	return nil
}

// Admit judges before anything is allocated.
func (c *Config) Admit(request *policy.Request) (policy.Verdict, error) {
	pod := request.Attachment.Pod
	if pod == nil {
		return policy.Deny("only pods are attached here"), nil
	}
	if !slices.Contains(c.Namespaces, pod.Namespace) {
		return policy.Deny("namespace %s is not attached to this network", pod.Namespace), nil
	}
	slog.Debug("namespace is allowed", "namespace", pod.Namespace)
	return policy.Allow(), nil
}
