// An IPAM plugin: an address of each set of ranges, as the reference host-local does; a pod keeps its
// addresses where "sticky" says so.
package main

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/ipam"
	"github.com/wharfinger/wharfinger/sdk/go/ledger"
)

// Config is the "ipam" object of a network.
type Config struct {
	// Ranges are sets of ranges: an attachment gets one address of each.
	Ranges []Set `json:"ranges"`
	// Routes are copied to the lease.
	Routes []wharfinger.Route `json:"routes"`
	// Sticky keeps a pod's addresses for it, past release and reboot.
	Sticky bool `json:"sticky"`
}

// Set is ranges that serve one after the other.
type Set []ipam.Subnet

var plugin = ipam.Export[Config]()

func main() {}

func (c *Config) Check(pointer string) []wharfinger.Problem {
	return empty(pointer+"/ranges", len(c.Ranges))
}

func (s Set) Check(pointer string) []wharfinger.Problem {
	return empty(pointer, len(s))
}

func empty(pointer string, length int) []wharfinger.Problem {
	if length > 0 {
		return nil
	}
	return []wharfinger.Problem{wharfinger.Problemf(pointer, "is empty: there is nothing to give")}
}

func (c *Config) Pools() ([]ipam.Pool, error) {
	pools := make([]ipam.Pool, len(c.Ranges))
	for i, set := range c.Ranges {
		pools[i] = ipam.Pool{Name: strconv.Itoa(i), Ranges: set.ranges()}
	}
	return pools, nil
}

func (c *Config) Allocate(request *ipam.Request) (*ipam.Lease, error) {
	for _, wanted := range request.Wanted {
		if !slices.ContainsFunc(c.Ranges, func(set Set) bool { return set.giver(wanted) != nil }) {
			return nil, wharfinger.Failf(wharfinger.Conflict, "%s is in none of the ranges", wanted)
		}
	}
	var own []netip.Addr
	pod := request.Attachment.Pod
	if c.Sticky && pod != nil {
		identity := pod.Namespace + "/" + pod.Name
		own = ledger.Remembered(identity)
		ledger.Remember(identity)
	}
	lease := ipam.LeaseOf().WithRoutes(c.Routes)
	for i, set := range c.Ranges {
		leased, err := set.take(i, request.Wanted, own)
		if err != nil {
			return nil, err
		}
		lease.Addresses = append(lease.Addresses, leased)
	}
	return lease, nil
}

// take takes what was asked for, else the pod's own address, else a free one.
func (s Set) take(i int, wanted, own []netip.Addr) (ipam.LeasedAddress, error) {
	for _, address := range wanted {
		if giver := s.giver(address); giver != nil {
			return giver.Take(address)
		}
	}
	for _, address := range own {
		if giver := s.giver(address); giver != nil {
			if leased, err := giver.Take(address); err == nil {
				return leased, nil
			}
		}
	}
	address, ok := ledger.TakeFree(s.ranges(), s.excluded(), netip.Addr{})
	if !ok {
		return ipam.LeasedAddress{}, wharfinger.Failf(wharfinger.Exhausted, "set %d has no free address", i)
	}
	return s.giver(address).Leased(address), nil
}

// giver is the range that gives an address, or nil.
func (s Set) giver(address netip.Addr) *ipam.Subnet {
	for i := range s {
		if s[i].Gives(address) {
			return &s[i]
		}
	}
	return nil
}

func (s Set) ranges() (ranges []wharfinger.Range) {
	for _, subnet := range s {
		ranges = append(ranges, subnet.Ranges()...)
	}
	return ranges
}

func (s Set) excluded() (ranges []wharfinger.Range) {
	for _, subnet := range s {
		ranges = append(ranges, subnet.Excluded()...)
	}
	return ranges
}
