// Package node is what a plugin may know of the node it runs on.
package node

import (
	"time"

	"github.com/wharfinger/wharfinger/sdk/go/internal/host"
)

// Name is the node's name in its cluster; the host name elsewhere.
func Name() string {
	return host.NodeName()
}

// Label is what the operator wrote down about this node: its zone, its pod network.
func Label(name string) (value string, ok bool) {
	return host.NodeLabel(name)
}

// Now is the host's clock, to the second, and the same all through one ADD. [time.Now] is a little ahead of it.
func Now() time.Time {
	return time.Unix(int64(host.NodeNow()), 0)
}
