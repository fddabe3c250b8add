// Package store is a small store of the plugin's own, beside the ledger: one for each network, or
// one for all networks where the node's own settings name the plugin. Not for Check and Pools.
package store

import (
	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/internal/host"
)

// Lifetime is how long an entry stays.
type Lifetime = host.Lifetime

const (
	// Attachment: until this call's attachment is released, by DEL, GC or a reboot.
	Attachment = host.OfAttachment
	// Permanent: until it is removed.
	Permanent = host.Permanent
)

// Get is the value, where there is one.
func Get(key string) (value string, ok bool) {
	return host.StoreGet(key)
}

// Put replaces the value and the lifetime.
func Put(key, value string, lifetime Lifetime) {
	host.StorePut(key, value, lifetime)
}

// Remove is true where the key was there.
func Remove(key string) bool {
	return host.StoreRemove(key)
}

// Scan is at most limit entries with this prefix and above after, in the keys' byte order; all with
// the prefix are above "".
func Scan(prefix, after string, limit uint32) []wharfinger.Pair {
	return host.StoreScan(prefix, after, limit)
}

// Count is how many entries have this prefix. What was counted still holds when this call lands, or
// the call is run again: a quota by it cannot be passed by two at once.
func Count(prefix string) uint64 {
	return host.StoreCount(prefix)
}
