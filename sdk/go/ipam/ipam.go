// Package ipam makes a program an IPAM plugin: it decides which addresses, routes and name servers
// an attachment gets. Start reading at [Plugin] and [Export].
package ipam

import (
	"encoding/json"
	"net/netip"

	"github.com/wharfinger/wharfinger/sdk/go"
)

// Plugin is what the pointer to a configuration's type implements. The configuration is the "ipam"
// object of a network, less the keys that the host itself reads ("type", "plugin", "coolDown", ...).
// What is wrong with it beyond its types a [wharfinger.Checker] says.
type Plugin interface {
	// Pools are the pools that addresses come from: what STATUS and people see.
	Pools() ([]Pool, error)
	// Allocate says which addresses the attachment gets: each is taken from the ledger first.
	// Asked twice for one attachment, it answers the same. All that is wanted is in the lease, or
	// the call fails.
	Allocate(request *Request) (*Lease, error)
}

// Remote is beside [Plugin], for one that asks an outside system: told of what was given back.
type Remote interface {
	Plugin
	// Released is called when the host's own book is closed, with the configuration of the ADD;
	// again later where it fails or that is unknown, so what is gone already is no failure.
	// Without a lease where the ADD did not come to one.
	Released(attachment wharfinger.Attachment, lease *Lease) error
}

// Request is what an IPAM plugin is asked.
type Request struct {
	Attachment wharfinger.Attachment
	// Network is the whole network configuration as the policies left it, runtimeConfig included.
	Network json.RawMessage
	// Wanted are addresses asked for by name, each once.
	Wanted []netip.Addr
}

// NewRequest is of this attachment, in an empty network: for tests.
func NewRequest(attachment wharfinger.Attachment, wanted ...netip.Addr) *Request {
	return &Request{Attachment: attachment, Network: json.RawMessage("{}"), Wanted: wanted}
}

// Pool is ranges that addresses come from, under one name.
type Pool struct {
	// Name is for people.
	Name   string
	Ranges []wharfinger.Range
}

// Lease is the answer of an allocation. Every address was taken from the ledger in this call, and
// comes once. There may be none.
type Lease struct {
	Addresses []LeasedAddress
	// Routes are those beside the addresses' own networks.
	Routes []wharfinger.Route
	DNS    DNS
}

// LeaseOf is a lease of these addresses.
func LeaseOf(addresses ...LeasedAddress) *Lease {
	return &Lease{Addresses: addresses}
}

// WithRoutes is the same with these routes.
func (l *Lease) WithRoutes(routes []wharfinger.Route) *Lease {
	with := *l
	with.Routes = routes
	return &with
}

// LeasedAddress is one address of a lease.
type LeasedAddress struct {
	// Address is with the prefix length of its network; host bits kept.
	Address netip.Prefix
	// Gateway is of the same family, and not the address itself; or the zero address.
	Gateway netip.Addr
}

// DNS is settings of the resolver; as "dns" of a configuration.
type DNS struct {
	Nameservers []netip.Addr `json:"nameservers"`
	Domain      string       `json:"domain"`
	Search      []string     `json:"search"`
	Options     []string     `json:"options"`
}
