package ipam

import (
	"slices"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/internal/call"
	"github.com/wharfinger/wharfinger/sdk/go/internal/config"
)

// Exported is a plugin as a host calls it: by a configuration as text.
type Exported struct {
	read func(config string) (Plugin, []wharfinger.Problem)
}

// Export makes the program a plugin whose configuration is a C, once:
//
//	var plugin = ipam.Export[Config]()
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

// Pools are those of a configuration.
func (e *Exported) Pools(text string) (pools []Pool, failed *wharfinger.Failure) {
	defer recovered(&failed)
	plugin, failed := e.plugin(text)
	if failed != nil {
		return nil, failed
	}
	pools, err := plugin.Pools()
	return pools, told(err)
}

// Allocate allocates. A lease has all that was asked for by name, which the host insists on: an
// author who does not look at it has a plugin that refuses it, and not one that is broken.
func (e *Exported) Allocate(text string, request *Request) (lease *Lease, failed *wharfinger.Failure) {
	defer recovered(&failed)
	plugin, failed := e.plugin(text)
	if failed != nil {
		return nil, failed
	}
	lease, err := plugin.Allocate(request)
	if err != nil {
		return nil, told(err)
	}
	if lease == nil {
		lease = &Lease{}
	}
	for _, wanted := range request.Wanted {
		given := func(leased LeasedAddress) bool { return leased.Address.Addr() == wanted }
		if !slices.ContainsFunc(lease.Addresses, given) {
			return nil, wharfinger.Failf(wharfinger.Conflict,
				"%s was asked for, but this plugin does not give it", wanted)
		}
	}
	return lease, nil
}

// Released tells a plugin that is a [Remote].
func (e *Exported) Released(
	text string, attachment wharfinger.Attachment, lease *Lease,
) (failed *wharfinger.Failure) {
	defer recovered(&failed)
	plugin, failed := e.plugin(text)
	if failed != nil {
		return failed
	}
	remote, is := plugin.(Remote)
	if !is {
		return wharfinger.Failf(wharfinger.Other, "this plugin is not told of releases")
	}
	return told(remote.Released(attachment, lease))
}

func (e *Exported) plugin(text string) (Plugin, *wharfinger.Failure) {
	plugin, problems := e.read(text)
	if len(problems) > 0 {
		return nil, config.Failure(problems)
	}
	return plugin, nil
}

func told(err error) *wharfinger.Failure {
	if err == nil {
		return nil
	}
	return wharfinger.FailureOf(err)
}

// recovered is deferred.
func recovered(failed **wharfinger.Failure) {
	if value := recover(); value != nil {
		*failed = call.Recovered(value)
	}
}
