// An IPAM plugin that fails in every way it can: for tests of what a host makes of it.
package main

import (
	"log/slog"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/ipam"
)

// Config is the "ipam" object of a network.
type Config struct {
	Pool ipam.Subnet `json:"pool"`
	// Plant is what goes wrong: "exception", "loop", "memory" or "stack".
	Plant string `json:"plant"`
}

var plugin = ipam.Export[Config]()

func main() {}

func (c *Config) Pools() ([]ipam.Pool, error) {
	return []ipam.Pool{c.Pool.Pool()}, nil
}

func (c *Config) Allocate(request *ipam.Request) (*ipam.Lease, error) {
	slog.Info("planting " + c.Plant)
	switch c.Plant {
	case "exception":
		addressOf(request.Attachment.Pod)
	case "loop":
		for {
		}
	case "memory":
		hoard()
	case "stack":
		deeper(0)
	}
	return nil, wharfinger.Failf(wharfinger.InvalidConfig, "nothing to plant: %q", c.Plant)
}

func addressOf(*wharfinger.Pod) {
	panic("an attachment without a pod")
}

func hoard() {
	var all [][]byte
	for {
		all = append(all, make([]byte, 1<<20))
	}
}

func deeper(depth int) int {
	return deeper(depth+1) + 1
}
