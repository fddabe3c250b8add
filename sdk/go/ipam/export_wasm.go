//go:build wasm

package ipam

import (
	"encoding/json"
	"log/slog"
	"net/netip"

	exports "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/export_wharfinger_plugin_ipam"
	_ "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/ipam"
	witipam "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wharfinger_plugin_ipam"
	wit "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wharfinger_plugin_types"
	. "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wit/types"
	"github.com/wharfinger/wharfinger/sdk/go/internal/convert"
	"github.com/wharfinger/wharfinger/sdk/go/internal/logging"
)

// register binds the plugin to the contract: text to types and back, and nothing decided.
func register(plugin *Exported) {
	slog.SetDefault(slog.New(logging.Handler()))
	exports.Validate = func(config string) []wit.Problem {
		return convert.All(plugin.Validate(config), convert.Problem)
	}
	exports.Pools = func(config string) Result[[]witipam.Pool, wit.Failure] {
		return convert.Guarded(func() Result[[]witipam.Pool, wit.Failure] {
			pools, failed := plugin.Pools(config)
			return convert.Answer(pools, failed, witPools)
		})
	}
	exports.Allocate = func(given witipam.Request) Result[wit.Lease, wit.Failure] {
		return convert.Guarded(func() Result[wit.Lease, wit.Failure] {
			lease, failed := plugin.Allocate(given.Config, requestOf(given))
			return convert.Answer(lease, failed, witLease)
		})
	}
}

func requestOf(given witipam.Request) *Request {
	return &Request{
		Attachment: convert.Attachment(given.Attachment),
		Network:    json.RawMessage(given.NetworkConfig),
		Wanted:     convert.All(given.Wanted, convert.Address),
	}
}

func witPools(pools []Pool) []witipam.Pool {
	return convert.All(pools, func(pool Pool) witipam.Pool {
		return witipam.Pool{Name: pool.Name, Ranges: convert.All(pool.Ranges, convert.Range)}
	})
}

func witLease(lease *Lease) wit.Lease {
	return wit.Lease{
		Addresses: convert.All(lease.Addresses, func(leased LeasedAddress) wit.LeasedAddress {
			return wit.LeasedAddress{
				Address: leased.Address.String(),
				Gateway: convert.OptionOfAddress(leased.Gateway),
			}
		}),
		Routes: convert.All(lease.Routes, convert.WitRoute),
		Dns: wit.Dns{
			Nameservers: convert.All(lease.DNS.Nameservers, netip.Addr.String),
			Domain:      convert.OptionOfText(lease.DNS.Domain),
			Search:      lease.DNS.Search,
			Options:     lease.DNS.Options,
		},
	}
}
