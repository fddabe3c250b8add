package wharfinger

import (
	"fmt"
	"net/netip"
	"strings"
)

// Range is the addresses from the first to the last, both included, of one family.
//
// In a configuration it is text: "10.1.0.10-10.1.0.20", one address, or a network, which stands
// for its [Usable] addresses.
type Range struct {
	First netip.Addr
	Last  netip.Addr
}

// Single is the range of one address alone.
func Single(address netip.Addr) Range {
	return Range{First: address, Last: address}
}

// Usable is what a network may give to containers: not its own address, nor, in IPv4, the
// broadcast; all of a network of one or two addresses.
func Usable(network netip.Prefix) Range {
	first, last := network.Masked().Addr(), Broadcast(network)
	if network.Bits()+1 >= first.BitLen() {
		return Range{First: first, Last: last}
	}
	if last.Is4() {
		last = last.Prev()
	}
	return Range{First: first.Next(), Last: last}
}

// Broadcast is the highest address of a network.
func Broadcast(network netip.Prefix) netip.Addr {
	bytes := network.Masked().Addr().AsSlice()
	for bit := network.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

// Valid says whether both ends are of one family, and the right way round.
func (r Range) Valid() bool {
	return r.First.IsValid() && r.First.BitLen() == r.Last.BitLen() && !r.Last.Less(r.First)
}

// Contains says whether an address lies inside.
func (r Range) Contains(address netip.Addr) bool {
	return address.BitLen() == r.First.BitLen() && !address.Less(r.First) && !r.Last.Less(address)
}

// Overlaps says whether two ranges share an address.
func (r Range) Overlaps(other Range) bool {
	return r.Contains(other.First) || other.Contains(r.First)
}

// String is "FIRST-LAST", or the address where it is one.
func (r Range) String() string {
	if r.First == r.Last {
		return r.First.String()
	}
	return r.First.String() + "-" + r.Last.String()
}

// ParseRange reads a range as a configuration has it.
func ParseRange(text string) (Range, error) {
	if network, err := netip.ParsePrefix(text); err == nil {
		return Usable(network), nil
	}
	low, high, two := strings.Cut(text, "-")
	if !two {
		high = low
	}
	first, err := parseEnd(text, low)
	if err != nil {
		return Range{}, err
	}
	last, err := parseEnd(text, high)
	if err != nil {
		return Range{}, err
	}
	r := Range{First: first, Last: last}
	if !r.Valid() {
		return Range{}, fmt.Errorf("%q mixes families, or is upside down", text)
	}
	return r, nil
}

func parseEnd(whole, text string) (netip.Addr, error) {
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" || address.Is4In6() {
		return netip.Addr{}, fmt.Errorf(
			"%q is neither an address, a network, nor two addresses with a '-'", whole)
	}
	return address, nil
}

// UnmarshalText reads a range of a configuration.
func (r *Range) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRange(string(text))
	return err
}

// MarshalText is [Range.String].
func (r Range) MarshalText() ([]byte, error) {
	return []byte(r.String()), nil
}
