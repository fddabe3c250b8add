//go:build !wasm

package remote

import "github.com/wharfinger/wharfinger/sdk/go/ipam"

// Only Wasm has a host to bind to; natively a double in memory calls.
func register(*ipam.Exported) {}
