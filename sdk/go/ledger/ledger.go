// Package ledger is who holds which address, in this network and those that share its address
// space: the host's own book, which plugins read and none can break. It answers ipam's Allocate
// alone; what that takes and does not return in the lease stays free.
package ledger

import (
	"net/netip"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/internal/host"
)

// Refused is the cause of [Take]'s failure.
type Refused = host.Refused

// Usage is how full ranges are. Counts stop at 2^53.
type Usage = host.Usage

// Take takes this address. One that the attachment holds already, or that rests after its
// release, is granted. The error is a failure, of reason Conflict, that wraps a [Refused].
func Take(address netip.Addr) error {
	if refused := host.Take(address); refused != nil {
		return wharfinger.Failf(wharfinger.Conflict, "%w", refused)
	}
	return nil
}

// TakeFree takes a free address of the ranges, less the excluded ones; ok is false where all are
// taken. The search goes up from start (itself included), range after range, and wraps round once;
// without a start within the ranges (the zero address is none), from above the last one taken.
// First of all comes what the attachment holds from an earlier ADD: asked again, it gets the same.
// Last come addresses that rest, then those that are remembered. The cost grows with the number of
// ranges, not with their size.
func TakeFree(ranges, excluded []wharfinger.Range, start netip.Addr) (address netip.Addr, ok bool) {
	return host.TakeFree(ranges, excluded, start)
}

// Remembered is what was last remembered for identity, in its lease's order: not taken by this,
// and perhaps held by somebody else.
func Remembered(identity string) []netip.Addr {
	return host.Remembered(identity)
}

// Remember remembers the addresses of this call's lease for identity (any name, a pod's say) in
// place of earlier ones: past release and reboot, until an operator forgets them.
func Remember(identity string) {
	host.Remember(identity)
}

// UsageOf is how full these ranges are now: to choose between pools by. Unlike what is taken it is
// not held on to: others may take an address before this call lands.
func UsageOf(ranges []wharfinger.Range) Usage {
	return host.UsageOf(ranges)
}
