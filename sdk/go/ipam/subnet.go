package ipam

import (
	"net/netip"
	"slices"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/ledger"
)

// Subnet is a subnet to give addresses from, with the reference plugin's keys, of which only the
// first is needed: what most IPAM needs. Neither the gateway nor the network's own addresses are
// ever given.
type Subnet struct {
	// Subnet gives the prefix length.
	Subnet netip.Prefix `json:"subnet"`
	// RangeStart is the first address to give; otherwise the first usable one.
	RangeStart netip.Addr `json:"rangeStart,omitzero"`
	// RangeEnd is the last.
	RangeEnd netip.Addr `json:"rangeEnd,omitzero"`
	// Gateway is the gateway, where it is not the first usable address of the subnet.
	Gateway netip.Addr `json:"gateway,omitzero"`
	// Exclude is never given.
	Exclude []wharfinger.Range `json:"exclude,omitempty"`
}

// Check implements [wharfinger.Checker].
func (s Subnet) Check(pointer string) (problems []wharfinger.Problem) {
	wrong := func(key, format string, args ...any) {
		problems = append(problems, wharfinger.Problemf(pointer+"/"+key, format, args...))
	}
	if !s.Subnet.IsValid() {
		wrong("subnet", "is missing")
		return problems
	}
	network := s.Subnet.Masked()
	if s.Subnet != network {
		wrong("subnet", "has host bits set: the network is %s", network)
	}
	for _, end := range []struct {
		key     string
		address netip.Addr
	}{{"rangeStart", s.RangeStart}, {"rangeEnd", s.RangeEnd}} {
		if end.address.IsValid() && !network.Contains(end.address) {
			wrong(end.key, "%s lies outside %s", end.address, network)
		}
	}
	switch {
	case !s.Gateway.IsValid():
	case s.Gateway.Is4() != network.Addr().Is4():
		wrong("gateway", "%s is of another family than %s", s.Gateway, network)
	case !network.Contains(s.Gateway):
		wrong("gateway", "%s lies outside %s", s.Gateway, network)
	}
	if !s.bounds().Valid() {
		wrong("rangeEnd", "lies below the start of the range")
	}
	return problems
}

// Ranges is what addresses come from.
func (s Subnet) Ranges() []wharfinger.Range {
	return []wharfinger.Range{s.bounds()}
}

// Pool is the same as a pool, named as the subnet.
func (s Subnet) Pool() Pool {
	return Pool{Name: s.Subnet.String(), Ranges: s.Ranges()}
}

// NextHop is the gateway: by default the first usable address, where the subnet has more than two
// addresses; otherwise the zero address.
func (s Subnet) NextHop() netip.Addr {
	if s.Gateway.IsValid() {
		return s.Gateway
	}
	if first := wharfinger.Usable(s.Subnet).First; first != s.Subnet.Masked().Addr() {
		return first
	}
	return netip.Addr{}
}

// Excluded is what of its ranges is never given: what is excluded, the gateway, the network's own
// addresses.
func (s Subnet) Excluded() []wharfinger.Range {
	excluded := slices.Clone(s.Exclude)
	usable, bounds := wharfinger.Usable(s.Subnet), s.bounds()
	if gateway := s.NextHop(); bounds.Contains(gateway) {
		excluded = append(excluded, wharfinger.Single(gateway))
	}
	for _, own := range []netip.Addr{s.Subnet.Masked().Addr(), wharfinger.Broadcast(s.Subnet)} {
		if bounds.Contains(own) && !usable.Contains(own) {
			excluded = append(excluded, wharfinger.Single(own))
		}
	}
	return excluded
}

// Gives says whether it may give this address.
func (s Subnet) Gives(address netip.Addr) bool {
	excluded := func(r wharfinger.Range) bool { return r.Contains(address) }
	return s.bounds().Contains(address) && !slices.ContainsFunc(s.Excluded(), excluded)
}

// Leased is the address as a lease has it: with prefix length and gateway.
func (s Subnet) Leased(address netip.Addr) LeasedAddress {
	return LeasedAddress{Address: netip.PrefixFrom(address, s.Subnet.Bits()), Gateway: s.NextHop()}
}

// Take takes this address from the ledger; a conflict where it cannot be had.
func (s Subnet) Take(address netip.Addr) (LeasedAddress, error) {
	if !s.Gives(address) {
		return LeasedAddress{}, wharfinger.Failf(wharfinger.Conflict,
			"%s was asked for, but %s does not give it", address, s.Subnet)
	}
	if err := ledger.Take(address); err != nil {
		return LeasedAddress{}, err
	}
	return s.Leased(address), nil
}

// TakeFree takes a free address: first what the attachment holds already.
func (s Subnet) TakeFree() (LeasedAddress, error) {
	address, ok := ledger.TakeFree(s.Ranges(), s.Excluded(), netip.Addr{})
	if !ok {
		return LeasedAddress{}, wharfinger.Failf(wharfinger.Exhausted, "no address is free in %s", s.Subnet)
	}
	return s.Leased(address), nil
}

func (s Subnet) bounds() wharfinger.Range {
	bounds := wharfinger.Usable(s.Subnet)
	if s.RangeStart.IsValid() {
		bounds.First = s.RangeStart
	}
	if s.RangeEnd.IsValid() {
		bounds.Last = s.RangeEnd
	}
	return bounds
}
