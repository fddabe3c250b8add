package policy

import (
	"encoding/json"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/internal/call"
	"github.com/wharfinger/wharfinger/sdk/go/internal/config"
	"github.com/wharfinger/wharfinger/sdk/go/plan"
)

// Exported is a plugin as a host calls it: by a configuration as text.
type Exported struct {
	read func(config string) (Plugin, []wharfinger.Problem)
}

// Export makes the program a policy whose configuration is a C, once:
//
//	var plugin = policy.Export[Config]()
//
//	func main() {}
//
// Tests hand what it returns to a wharfingertest.Host.
func Export[C any, P interface {
	*C
	Plugin
}]() *Exported {
	exported := &Exported{read: func(text string) (Plugin, []wharfinger.Problem) {
		plugin := P(new(C))
		problems := config.Read(text, plugin)
		return plugin, problems
	}}
	register(exported)
	return exported
}

// Validate is every problem of a configuration.
func (e *Exported) Validate(text string) (problems []wharfinger.Problem) {
	defer func() {
		if value := recover(); value != nil {
			problems = []wharfinger.Problem{wharfinger.Problemf("", "%v", call.Recovered(value))}
		}
	}()
	_, problems = e.read(text)
	return problems
}

// Admit asks it before anything is allocated.
func (e *Exported) Admit(text string, request *Request) (Verdict, *wharfinger.Failure) {
	return e.ask(text, func(plugin Plugin) (Verdict, error) { return plugin.Admit(request) })
}

// Review asks it with all that is about to happen.
func (e *Exported) Review(
	text string, request *Request, steps []plan.Step, result json.RawMessage,
) (Verdict, *wharfinger.Failure) {
	return e.ask(text, func(plugin Plugin) (Verdict, error) {
		reviewer, is := plugin.(Reviewer)
		if !is {
			return Allow(), nil
		}
		return reviewer.Review(request, steps, result)
	})
}

func (e *Exported) ask(
	text string, what func(Plugin) (Verdict, error),
) (verdict Verdict, failed *wharfinger.Failure) {
	defer func() {
		if value := recover(); value != nil {
			failed = call.Recovered(value)
		}
	}()
	plugin, problems := e.read(text)
	if len(problems) > 0 {
		return Verdict{}, config.Failure(problems)
	}
	verdict, err := what(plugin)
	if err != nil {
		return Verdict{}, wharfinger.FailureOf(err)
	}
	if verdict.decision == undecided {
		return verdict, wharfinger.Failf(wharfinger.Other, "the policy decided nothing")
	}
	return verdict, nil
}
