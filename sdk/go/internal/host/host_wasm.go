//go:build wasm

package host

import (
	"log/slog"
	"net/netip"

	"github.com/wharfinger/wharfinger/sdk/go"
	ledger "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wharfinger_plugin_ledger"
	logger "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wharfinger_plugin_logger"
	node "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wharfinger_plugin_node"
	store "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wharfinger_plugin_store"
	"github.com/wharfinger/wharfinger/sdk/go/internal/convert"
)

// A policy has no ledger: what it does not call is not in its component.

func Take(address netip.Addr) *Refused {
	taken := ledger.Take(address.String())
	if taken.IsOk() {
		return nil
	}
	refused := &Refused{Address: address}
	switch why := taken.Err(); why.Tag() {
	case ledger.Refusal_Held:
		holder := convert.ID(why.Held())
		refused.Holder = &holder
	default:
		refused.Reserved = why.Reserved()
	}
	return refused
}

func TakeFree(ranges, excluded []wharfinger.Range, start netip.Addr) (netip.Addr, bool) {
	free := ledger.TakeFree(convert.All(ranges, convert.Range), convert.All(excluded, convert.Range),
		convert.OptionOfAddress(start))
	return convert.MaybeAddress(free), free.IsSome()
}

func Remembered(identity string) []netip.Addr {
	return convert.All(ledger.Remembered(identity), convert.Address)
}

func Remember(identity string) { ledger.Remember(identity) }

func UsageOf(ranges []wharfinger.Range) Usage {
	counts := ledger.Usage(convert.All(ranges, convert.Range))
	return Usage{
		Total:      counts.Total,
		Held:       counts.Held,
		Resting:    counts.Resting,
		Remembered: counts.Remembered,
	}
}

func StoreGet(key string) (string, bool) {
	value := store.Get(key)
	return value.SomeOr(""), value.IsSome()
}

func StorePut(key, value string, lifetime Lifetime) {
	stays := store.Lifetime_Attachment
	if lifetime == Permanent {
		stays = store.Lifetime_Permanent
	}
	store.Put(key, value, stays)
}

func StoreRemove(key string) bool { return store.Remove(key) }

func StoreScan(prefix, after string, limit uint32) []wharfinger.Pair {
	return convert.All(store.Scan(prefix, convert.OptionOfText(after), limit), convert.Pair)
}

func StoreCount(prefix string) uint64 { return store.Count(prefix) }

func Log(level slog.Level, message string) {
	as := logger.Level_Trace
	switch {
	case level >= slog.LevelError:
		as = logger.Level_Error
	case level >= slog.LevelWarn:
		as = logger.Level_Warn
	case level >= slog.LevelInfo:
		as = logger.Level_Info
	case level >= slog.LevelDebug:
		as = logger.Level_Debug
	}
	logger.Log(as, message)
}

func NodeName() string { return node.Name() }

func NodeLabel(name string) (string, bool) {
	value := node.Label(name)
	return value.SomeOr(""), value.IsSome()
}

func NodeNow() uint64 { return node.Now() }
