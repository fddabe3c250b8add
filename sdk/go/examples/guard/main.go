// A policy: which namespaces may be attached, which ports of the host they may have, how many
// attachments, and what MTU.
package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/policy"
	"github.com/wharfinger/wharfinger/sdk/go/store"
)

// Config is the policy's configuration. What is absent is not judged.
type Config struct {
	// Namespaces are those whose pods may be attached.
	Namespaces []string `json:"namespaces"`
	// HostPorts are the ports of the host that may be asked for.
	HostPorts []Ports `json:"hostPorts"`
	// Quota is how many attachments a namespace may have.
	Quota *uint64 `json:"quota"`
	// MTU is what every interface gets.
	MTU *uint64 `json:"mtu"`
}

// Ports is "80" or "8000-8100".
type Ports struct{ first, last uint16 }

var plugin = policy.Export[Config]()

func main() {}

func (p *Ports) UnmarshalText(text []byte) error {
	low, high, two := strings.Cut(string(text), "-")
	if !two {
		high = low
	}
	first, err := strconv.ParseUint(low, 10, 16)
	last, err2 := strconv.ParseUint(high, 10, 16)
	if err != nil || err2 != nil || first == 0 || last < first {
		return fmt.Errorf("%q is no port and no range of ports", text)
	}
	*p = Ports{uint16(first), uint16(last)}
	return nil
}

func (c *Config) Check(pointer string) (problems []wharfinger.Problem) {
	if c.Quota != nil && *c.Quota == 0 {
		problems = append(problems, wharfinger.Problemf(pointer+"/quota", "is 0: at least 1"))
	}
	if c.MTU != nil && (*c.MTU < 68 || *c.MTU > 65535) {
		problems = append(problems, wharfinger.Problemf(pointer+"/mtu", "is %d: from 68 to 65535", *c.MTU))
	}
	return problems
}

func (c *Config) Admit(request *policy.Request) (policy.Verdict, error) {
	pod := request.Attachment.Pod
	if c.Namespaces != nil {
		switch {
		case pod == nil:
			return policy.Deny("an attachment without a pod is refused"), nil
		case !slices.Contains(c.Namespaces, pod.Namespace):
			return policy.Deny("namespace %s is not attached", pod.Namespace), nil
		}
	}
	if c.HostPorts != nil {
		ports, err := asked(request.Written.Runtime)
		if err != nil {
			return policy.Verdict{}, err
		}
		if refused := slices.IndexFunc(ports, c.refuses); refused >= 0 {
			return policy.Deny("port %d of the host is not allowed", ports[refused]), nil
		}
	}
	if c.Quota != nil && pod != nil {
		// Put first: an ADD that is asked again counts once, and a refusal takes it back.
		store.Put(pod.Namespace+"/"+request.Attachment.ID.String(), "", store.Attachment)
		if count := store.Count(pod.Namespace + "/"); count > *c.Quota {
			return policy.Deny("namespace %s has %d attachments, and may have %d",
				pod.Namespace, count-1, *c.Quota), nil
		}
	}
	if c.MTU != nil {
		return policy.Amend(map[string]any{"mtu": *c.MTU})
	}
	return policy.Allow(), nil
}

// refuses says whether a port may not be had; 0 is none.
func (c *Config) refuses(port uint16) bool {
	in := func(p Ports) bool { return p.first <= port && port <= p.last }
	return port > 0 && !slices.ContainsFunc(c.HostPorts, in)
}

// asked are the ports of the host in "portMappings". What cannot be read is an error, which refuses:
// a policy that skips it could be passed by. Maps, as the keys of a struct match in any case.
func asked(runtime json.RawMessage) (ports []uint16, err error) {
	unreadable := wharfinger.Failf(wharfinger.Other, "portMappings: not a list of ports")
	var keys map[string]json.RawMessage
	if json.Unmarshal(runtime, &keys) != nil {
		return nil, unreadable
	}
	var mappings []map[string]json.RawMessage
	if raw, is := keys["portMappings"]; is && json.Unmarshal(raw, &mappings) != nil {
		return nil, unreadable
	}
	for _, mapping := range mappings {
		var port uint16
		raw, is := mapping["hostPort"]
		if mapping == nil || is && json.Unmarshal(raw, &port) != nil {
			return nil, unreadable
		}
		ports = append(ports, port)
	}
	return ports, nil
}
