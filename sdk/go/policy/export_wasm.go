//go:build wasm

package policy

import (
	"encoding/json"
	"log/slog"

	exports "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/export_wharfinger_plugin_policy"
	_ "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/policy"
	witplan "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wharfinger_plugin_plan"
	witpolicy "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wharfinger_plugin_policy"
	wit "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wharfinger_plugin_types"
	. "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wit/types"
	"github.com/wharfinger/wharfinger/sdk/go/internal/convert"
	"github.com/wharfinger/wharfinger/sdk/go/internal/logging"
	"github.com/wharfinger/wharfinger/sdk/go/plan"
)

type answer = Result[witpolicy.Verdict, wit.Failure]

// register binds the plugin to the contract: text to types and back, and nothing decided.
func register(plugin *Exported) {
	slog.SetDefault(slog.New(logging.Handler()))
	exports.Validate = func(config string) []wit.Problem {
		return convert.All(plugin.Validate(config), convert.Problem)
	}
	exports.Admit = func(given witpolicy.Request) answer {
		return convert.Guarded(func() answer {
			verdict, failed := plugin.Admit(given.Config, requestOf(given))
			return convert.Answer(verdict, failed, witVerdict)
		})
	}
	exports.Review = func(given witpolicy.Request, steps []witplan.Step, result string) answer {
		return convert.Guarded(func() answer {
			all := convert.All(steps, stepOf)
			verdict, failed := plugin.Review(given.Config, requestOf(given), all, json.RawMessage(result))
			return convert.Answer(verdict, failed, witVerdict)
		})
	}
}

func witVerdict(verdict Verdict) witpolicy.Verdict {
	switch verdict.decision {
	case denied:
		return witpolicy.MakeVerdictDeny(verdict.text)
	case amended:
		return witpolicy.MakeVerdictAmend(verdict.text)
	default:
		return witpolicy.MakeVerdictAllow()
	}
}

func requestOf(given witpolicy.Request) *Request {
	return &Request{
		Attachment: convert.Attachment(given.Attachment),
		Network:    json.RawMessage(given.NetworkConfig),
		Written: Sources{
			Network: json.RawMessage(given.Written.Network),
			Runtime: json.RawMessage(given.Written.Runtime),
			Pod:     json.RawMessage(given.Written.Pod),
		},
	}
}

func linkOf(link witplan.LinkRef) plan.Link {
	return plan.Link{Place: plan.Place(link.Place), Name: link.Name}
}

func stepOf(given witplan.Step) plan.Step {
	switch given.Tag() {
	case witplan.Step_Link:
		return linkStepOf(given.Link())
	case witplan.Step_Address:
		step := given.Address()
		return &plan.AddressStep{Link: linkOf(step.Link), Address: convert.Network(step.Address)}
	case witplan.Step_Route:
		step := given.Route()
		return &plan.RouteStep{Link: linkOf(step.Link), Route: convert.Route(step.Route)}
	case witplan.Step_Sysctl:
		step := given.Sysctl()
		return &plan.SysctlStep{Place: plan.Place(step.Place), Key: step.Key, Value: step.Value}
	case witplan.Step_Firewall:
		step := given.Firewall()
		return &plan.FirewallStep{Place: plan.Place(step.Place), Family: step.Family,
			Table: step.Table, Chain: step.Chain, Rule: step.Rule}
	case witplan.Step_Forward:
		step := given.Forward()
		return &plan.ForwardStep{Protocol: step.Protocol, HostAddress: convert.MaybeAddress(step.HostAddress),
			HostPort: step.HostPort, Address: convert.Address(step.Address), Port: step.Port}
	case witplan.Step_Shaping:
		step := given.Shaping()
		return &plan.ShapingStep{Link: linkOf(step.Link), Direction: plan.Direction(step.Direction),
			Rate: step.Rate, Burst: step.Burst}
	default:
		step := given.Other()
		return &plan.OtherStep{Place: plan.Place(step.Place), Kind: step.Kind, Detail: json.RawMessage(step.Detail)}
	}
}

func linkStepOf(step witplan.LinkStep) *plan.LinkStep {
	made := &plan.LinkStep{
		Link:     linkOf(step.Link),
		Kind:     step.Kind,
		ID:       convert.Maybe(step.Id),
		MTU:      convert.Maybe(step.Mtu),
		MAC:      convert.Text(step.Mac),
		Master:   convert.Text(step.Master),
		Settings: convert.All(step.Settings, convert.Pair),
	}
	if peer := convert.Maybe(step.Peer); peer != nil {
		link := linkOf(*peer)
		made.Peer = &link
	}
	return made
}
