//go:build wasm

package remote

import (
	exports "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/export_wharfinger_plugin_ipam_remote"
	_ "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/remote"
	wit "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wharfinger_plugin_types"
	. "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wit/types"
	"github.com/wharfinger/wharfinger/sdk/go/internal/convert"
	"github.com/wharfinger/wharfinger/sdk/go/ipam"
)

// register binds the plugin to the contract.
func register(plugin *ipam.Exported) {
	exports.Released = func(config string, attachment wit.Attachment, given Option[wit.Lease]) Result[Unit, wit.Failure] {
		return convert.Guarded(func() Result[Unit, wit.Failure] {
			var lease *ipam.Lease
			if given.IsSome() {
				lease = leaseOf(given.Some())
			}
			failed := plugin.Released(config, convert.Attachment(attachment), lease)
			return convert.Answer(Unit{}, failed, func(done Unit) Unit { return done })
		})
	}
}

func leaseOf(given wit.Lease) *ipam.Lease {
	return &ipam.Lease{
		Addresses: convert.All(given.Addresses, func(leased wit.LeasedAddress) ipam.LeasedAddress {
			return ipam.LeasedAddress{
				Address: convert.Network(leased.Address),
				Gateway: convert.MaybeAddress(leased.Gateway),
			}
		}),
		Routes: convert.All(given.Routes, convert.Route),
		DNS: ipam.DNS{
			Nameservers: convert.All(given.Dns.Nameservers, convert.Address),
			Domain:      convert.Text(given.Dns.Domain),
			Search:      given.Dns.Search,
			Options:     given.Dns.Options,
		},
	}
}
