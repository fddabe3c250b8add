package wharfinger

import "net/netip"

// Route is a route. In a configuration its keys are those of CNI.
type Route struct {
	// Destination is a network: its host bits are zero.
	Destination netip.Prefix `json:"dst"`
	// Gateway is the next hop; without it, that of the first address of the family.
	Gateway netip.Addr `json:"gw,omitzero"`
	// MTU is in bytes, as is AdvMSS.
	MTU    *uint32 `json:"mtu,omitempty"`
	AdvMSS *uint32 `json:"advmss,omitempty"`
	// Priority is the metric: lower is preferred.
	Priority *uint32 `json:"priority,omitempty"`
	Table    *uint32 `json:"table,omitempty"`
	// Scope is as `ip route` numbers it: 0 is global, 253 link.
	Scope *uint8 `json:"scope,omitempty"`
}

// Check implements [Checker].
func (r Route) Check(pointer string) []Problem {
	switch {
	case !r.Destination.IsValid():
		return []Problem{Problemf(pointer+"/dst", "is missing")}
	case r.Destination != r.Destination.Masked():
		return []Problem{Problemf(pointer+"/dst", "%s has host bits set: the network is %s",
			r.Destination, r.Destination.Masked())}
	}
	return nil
}
