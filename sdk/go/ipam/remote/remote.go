// Package remote makes a program an IPAM plugin that is told of releases: one that asks an outside
// system.
package remote

import "github.com/wharfinger/wharfinger/sdk/go/ipam"

// Export is [ipam.Export] for a plugin that is an [ipam.Remote].
func Export[C any, P interface {
	*C
	ipam.Remote
}]() *ipam.Exported {
	exported := ipam.Export[C, P]()
	register(exported)
	return exported
}
