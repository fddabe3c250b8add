//go:build !wasm

package wharfingertest

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/internal/call"
	"github.com/wharfinger/wharfinger/sdk/go/internal/host"
	"github.com/wharfinger/wharfinger/sdk/go/ipam"
)

// kind is which export runs: it decides what may be asked.
type kind int

const (
	// outside is Validate and Pools.
	outside kind = iota
	allocate
	released
	judges
)

// current is one call, and what it has done so far.
type current struct {
	kind       kind
	host       *Host
	book       book
	id         *wharfinger.AttachmentID
	taken      []netip.Addr
	identities []string
}

// commit leaves the host's book as the call does: what it took and did not lease is free.
func (c *current) commit(h *Host, lease *ipam.Lease) {
	leased := make([]netip.Addr, len(lease.Addresses))
	for i, address := range lease.Addresses {
		leased[i] = address.Address.Addr()
	}
	if c.kind == allocate {
		c.book.settle(*c.id, leased)
	}
	for _, identity := range c.identities {
		c.book.identities[identity] = leased
	}
	h.book = c.book
}

// offered ends a call that asks where the contract does not offer it.
func (c *current) offered(what string, kinds ...kind) {
	if !slices.Contains(kinds, c.kind) {
		panic(call.Ended(what + " was asked where the contract does not offer it"))
	}
}

func (c *current) Take(address netip.Addr) *host.Refused {
	c.offered("ledger.Take", allocate)
	refused := c.book.take(*c.id, address)
	if refused == nil {
		c.taken = append(c.taken, address)
	}
	return refused
}

func (c *current) TakeFree(ranges, excluded []wharfinger.Range, start netip.Addr) (netip.Addr, bool) {
	c.offered("ledger.TakeFree", allocate)
	for _, r := range slices.Concat(ranges, excluded) {
		if !r.Valid() {
			panic(call.Ended(fmt.Sprintf("ledger.TakeFree was given %s, which is no range", r)))
		}
	}
	address, ok := c.book.takeFree(*c.id, ranges, excluded, start)
	if ok {
		c.taken = append(c.taken, address)
	}
	return address, ok
}

func (c *current) Remembered(identity string) []netip.Addr {
	c.offered("ledger.Remembered", allocate)
	return slices.Clone(c.book.identities[identity])
}

func (c *current) Remember(identity string) {
	c.offered("ledger.Remember", allocate)
	c.identities = append(c.identities, identity)
}

func (c *current) UsageOf(ranges []wharfinger.Range) host.Usage {
	c.offered("ledger.UsageOf", allocate)
	return c.book.usageOf(ranges)
}

func (c *current) StoreGet(key string) (string, bool) {
	c.offered("store.Get", allocate, judges)
	entry, ok := c.book.store[key]
	return entry.value, ok
}

func (c *current) StorePut(key, value string, lifetime host.Lifetime) {
	c.offered("store.Put", allocate, judges)
	entry := entry{value: value}
	if lifetime == host.OfAttachment {
		entry.owner = c.id
	}
	c.book.store[key] = entry
}

func (c *current) StoreRemove(key string) bool {
	c.offered("store.Remove", allocate, judges)
	_, was := c.book.store[key]
	delete(c.book.store, key)
	return was
}

func (c *current) StoreScan(prefix, after string, limit uint32) []wharfinger.Pair {
	c.offered("store.Scan", allocate, judges)
	return c.book.scan(prefix, after, limit)
}

func (c *current) StoreCount(prefix string) uint64 {
	c.offered("store.Count", allocate, judges)
	return c.book.count(prefix)
}

func (c *current) Log(level slog.Level, message string) {
	c.host.log = append(c.host.log, Line{Level: level, Message: message})
}

func (c *current) NodeName() string { return c.host.name }

func (c *current) NodeLabel(name string) (string, bool) {
	value, ok := c.host.labels[name]
	return value, ok
}

func (c *current) NodeNow() uint64 { return c.host.now }

// judge ends a call whose lease the real host would not take.
func judge(lease *ipam.Lease, taken, wanted []netip.Addr) {
	ended := func(format string, args ...any) {
		panic(call.Ended("it returned " + fmt.Sprintf(format, args...)))
	}
	var seen []netip.Addr
	for _, leased := range lease.Addresses {
		address := leased.Address.Addr()
		switch {
		case !slices.Contains(taken, address):
			ended("%s, which it did not take in this call", address)
		case slices.Contains(seen, address):
			ended("%s twice", address)
		}
		hop(leased.Gateway, address, ended)
		seen = append(seen, address)
	}
	for _, address := range wanted {
		if !slices.Contains(seen, address) {
			ended("a lease without %s, which was asked for by name", address)
		}
	}
	for _, route := range lease.Routes {
		if !route.Destination.IsValid() || route.Destination != route.Destination.Masked() {
			ended("a route to %s, which is no network", route.Destination)
		}
		hop(route.Gateway, route.Destination.Addr(), ended)
	}
}

func hop(gateway, of netip.Addr, ended func(string, ...any)) {
	switch {
	case !gateway.IsValid():
	case gateway.Is4() != of.Is4():
		ended("the gateway %s for %s: another family", gateway, of)
	case gateway == of:
		ended("%s as its own gateway", gateway)
	}
}
