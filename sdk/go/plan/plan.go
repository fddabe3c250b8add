// Package plan is what the host is about to do to the kernel, in order: what a policy reviews.
package plan

import (
	"encoding/json"
	"net/netip"

	"github.com/wharfinger/wharfinger/sdk/go"
)

// Place is whose network namespace.
type Place int

const (
	// Host is the node's.
	Host Place = iota
	// Container is the container's.
	Container
)

// Direction is as the container sees it.
type Direction int

const (
	// Ingress is to the container.
	Ingress Direction = iota
	// Egress is from the container.
	Egress
)

// Link is a link by name.
type Link struct {
	Place Place
	Name  string
}

// Step is one thing that the host will do: a *LinkStep, *AddressStep, *RouteStep, *SysctlStep,
// *FirewallStep, *ForwardStep, *ShapingStep or *OtherStep, to be told apart by a type switch.
type Step interface{ step() }

// LinkStep makes a link, or brings one in, and sets it. What is empty or nil is not said.
type LinkStep struct {
	Link Link
	// Kind is as the kernel names it: "bridge", "veth", "vlan"; "existing" for a device moved in.
	Kind string
	// Peer is the other end (veth), what it stands on (vlan, macvlan), or the device moved in.
	Peer *Link
	// ID is of a VLAN or VXLAN; the table of a VRF.
	ID  *uint32
	MTU *uint32
	MAC string
	// Master is the bridge or VRF that it joins.
	Master string
	// Settings are all else, as `ip -d link` names it: "mode", "promisc", "hairpin".
	Settings []wharfinger.Pair
}

// AddressStep gives a link an address.
type AddressStep struct {
	Link Link
	// Address is with its prefix length.
	Address netip.Prefix
}

// RouteStep adds a route through a link.
type RouteStep struct {
	Link  Link
	Route wharfinger.Route
}

// SysctlStep sets a sysctl.
type SysctlStep struct {
	Place Place
	// Key is as below /proc/sys: "net/ipv4/ip_forward".
	Key   string
	Value string
}

// FirewallStep adds a rule to the firewall.
type FirewallStep struct {
	Place  Place
	Family string
	Table  string
	Chain  string
	// Rule is as `nft` prints it.
	Rule string
}

// ForwardStep leads a port of the host to the container.
type ForwardStep struct {
	Protocol string
	// HostAddress is the host's address at which alone it does; the zero address is any.
	HostAddress netip.Addr
	HostPort    uint16
	Address     netip.Addr
	Port        uint16
}

// ShapingStep limits a link's rate.
type ShapingStep struct {
	Link      Link
	Direction Direction
	// Rate is bits a second, Burst is bits.
	Rate  uint64
	Burst uint64
}

// OtherStep is of a kind that this version of the contract has no arm for.
type OtherStep struct {
	Place  Place
	Kind   string
	Detail json.RawMessage
}

func (*LinkStep) step()     {}
func (*AddressStep) step()  {}
func (*RouteStep) step()    {}
func (*SysctlStep) step()   {}
func (*FirewallStep) step() {}
func (*ForwardStep) step()  {}
func (*ShapingStep) step()  {}
func (*OtherStep) step()    {}
