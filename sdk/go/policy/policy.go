// Package policy makes a program a policy plugin: it decides whether, and how, a container may be
// attached. Start reading at [Plugin] and [Export].
package policy

import (
	"encoding/json"
	"fmt"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/plan"
)

// Plugin is what the pointer to a configuration's type implements. Policies run in their
// configured order, each on what the earlier ones left; the first refusal ends it, and a failure
// refuses too, unless the operator made the policy advisory. What is wrong with the configuration
// beyond its types a [wharfinger.Checker] says.
type Plugin interface {
	// Admit is of ADD, before anything is allocated. A patch is for the network configuration.
	Admit(request *Request) (Verdict, error)
}

// Reviewer is beside [Plugin]: without it, what is about to be done is allowed.
type Reviewer interface {
	Plugin
	// Review is of ADD, with all that is about to happen in hand, before the kernel is touched. A
	// patch is for the CNI result, where only "dns" may change. Around a wrapped plugin: after it
	// ran, with no steps, and a refusal deletes.
	Review(request *Request, steps []plan.Step, result json.RawMessage) (Verdict, error)
}

// Request is what a policy is asked.
type Request struct {
	Attachment wharfinger.Attachment
	// Network is the whole network configuration as it stands, prevResult included.
	Network json.RawMessage
	// Written is the same by who wrote it.
	Written Sources
}

// NewRequest is of this attachment in this network, all of which its conflist's author wrote: for
// tests.
func NewRequest(attachment wharfinger.Attachment, network string) *Request {
	all, nothing := json.RawMessage(network), json.RawMessage("{}")
	return &Request{
		Attachment: attachment,
		Network:    all,
		Written:    Sources{Network: all, Runtime: nothing, Pod: nothing},
	}
}

// Sources is who wrote what of a network configuration, as earlier policies left it. A conflist
// may come from somebody less trusted than the node's operator; what is the pod's certainly does.
type Sources struct {
	// Network is of the conflist's author: all that is not below.
	Network json.RawMessage
	// Runtime is the runtime's: runtimeConfig, less annotations.
	Runtime json.RawMessage
	// Pod is the pod's author's: {"CNI_ARGS": {name: value}, "args": args.cni, "annotations": {...}}.
	Pod json.RawMessage
}

// Verdict is what a policy decided: what [Allow], [Deny] and [Amend] return. The zero Verdict is
// none, and fails. Verdicts may be compared.
type Verdict struct {
	decision decision
	text     string
}

type decision int

const (
	undecided decision = iota
	allowed
	denied
	amended
)

// Allow is: as it is.
func Allow() Verdict {
	return Verdict{decision: allowed}
}

// Deny is: not at all. The reason, one line, reaches the operator.
func Deny(format string, args ...any) Verdict {
	return Verdict{decision: denied, text: wharfinger.Failf(wharfinger.Conflict, format, args...).Message}
}

// Amend is: go on, with this RFC 7396 merge patch, which becomes JSON.
func Amend(patch map[string]any) (Verdict, error) {
	text, err := json.Marshal(patch)
	if err != nil {
		return Verdict{}, fmt.Errorf("patch: %w", err)
	}
	return Verdict{decision: amended, text: string(text)}, nil
}

// IsDenied says whether it is a refusal, and why.
func (v Verdict) IsDenied() (reason string, is bool) {
	return v.text, v.decision == denied
}

// String is "allow", "deny: REASON" or "amend: PATCH".
func (v Verdict) String() string {
	switch v.decision {
	case allowed:
		return "allow"
	case denied:
		return "deny: " + v.text
	case amended:
		return "amend: " + v.text
	default:
		return "undecided"
	}
}
