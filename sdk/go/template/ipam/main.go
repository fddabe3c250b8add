// Which address an attachment gets: a free one of the first pool that has room.
package main

import (
	"errors"
	"net/netip"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/ipam"
)

// Config is the "ipam" object of a network.
type Config struct {
	// Subnets are where addresses come from, in the order they are tried.
	Subnets []ipam.Subnet `json:"pools"`
	// Routes are copied to the lease.
	Routes []wharfinger.Route `json:"routes"`
}

var plugin = ipam.Export[Config]()

func main() {}

// Check says what is wrong beyond what types say; pools and routes check themselves.
func (c *Config) Check(pointer string) []wharfinger.Problem {
	if len(c.Subnets) == 0 {
		return []wharfinger.Problem{wharfinger.Problemf(pointer+"/pools", "is empty: there is nothing to give")}
	}
	return nil
}

// Pools are what STATUS and people see.
func (c *Config) Pools() ([]ipam.Pool, error) {
	pools := make([]ipam.Pool, len(c.Subnets))
	for i, pool := range c.Subnets {
		pools[i] = pool.Pool()
	}
	return pools, nil
}

// Allocate says which address the attachment gets.
func (c *Config) Allocate(request *ipam.Request) (*ipam.Lease, error) {
	leased, err := c.take(request.Wanted)
	if err != nil {
		return nil, err
	}
	return ipam.LeaseOf(leased).WithRoutes(c.Routes), nil
}

func (c *Config) take(wanted []netip.Addr) (ipam.LeasedAddress, error) {
	if len(wanted) > 0 {
		return c.named(wanted[0])
	}
	return c.free()
}

// named takes an address that was asked for.
func (c *Config) named(wanted netip.Addr) (ipam.LeasedAddress, error) {
	for _, pool := range c.Subnets {
		if pool.Gives(wanted) {
			return pool.Take(wanted)
		}
	}
	return ipam.LeasedAddress{}, wharfinger.Failf(wharfinger.Conflict, "%s is in none of the pools", wanted)
}

func (c *Config) free() (ipam.LeasedAddress, error) {
	for _, pool := range c.Subnets {
		leased, err := pool.TakeFree()
		var failure *wharfinger.Failure
		if errors.As(err, &failure) && failure.Reason == wharfinger.Exhausted {
			continue
		}
		return leased, err
	}
	return ipam.LeasedAddress{}, wharfinger.Failf(wharfinger.Exhausted, "no pool has a free address")
}
