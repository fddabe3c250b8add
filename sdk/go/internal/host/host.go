// Package host is what the host answers: on Wasm by the contract's imports, elsewhere by a double.
// It decides nothing. Start reading at host_wasm.go.
package host

import (
	"fmt"
	"net/netip"

	"github.com/wharfinger/wharfinger/sdk/go"
)

// Refused says why an address cannot be taken.
type Refused struct {
	Address netip.Addr
	// Holder is the other attachment that holds it, or nil.
	Holder *wharfinger.AttachmentID
	// Reserved is otherwise why the operator reserved it, or which stranger answers to it.
	Reserved string
}

// Error says both.
func (r *Refused) Error() string {
	if r.Holder != nil {
		return fmt.Sprintf("%s is held by %s", r.Address, r.Holder)
	}
	return fmt.Sprintf("%s is reserved: %s", r.Address, r.Reserved)
}

// Usage is how full ranges are. Counts stop at 2^53.
type Usage struct {
	Total   uint64
	Held    uint64
	Resting uint64
	// Remembered are kept for an identity that does not hold them now.
	Remembered uint64
}

// Lifetime is how long an entry of the store stays.
type Lifetime int

const (
	// OfAttachment: as long as the call's attachment.
	OfAttachment Lifetime = iota
	// Permanent: until it is removed.
	Permanent
)
