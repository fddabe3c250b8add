//go:build !wasm

package host

import (
	"log/slog"
	"net/netip"
	"sync"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/internal/call"
)

// Double answers in the host's place.
type Double interface {
	Take(address netip.Addr) *Refused
	TakeFree(ranges, excluded []wharfinger.Range, start netip.Addr) (netip.Addr, bool)
	Remembered(identity string) []netip.Addr
	Remember(identity string)
	UsageOf(ranges []wharfinger.Range) Usage
	StoreGet(key string) (string, bool)
	StorePut(key, value string, lifetime Lifetime)
	StoreRemove(key string) bool
	StoreScan(prefix, after string, limit uint32) []wharfinger.Pair
	StoreCount(prefix string) uint64
	Log(level slog.Level, message string)
	NodeName() string
	NodeLabel(name string) (string, bool)
	NodeNow() uint64
}

var (
	one     sync.Mutex
	current Double
)

// Run does work with this double as the host. Others wait: tests may run side by side.
func Run(double Double, work func()) {
	one.Lock()
	defer one.Unlock()
	current = double
	defer func() { current = nil }()
	work()
}

func ask() Double {
	if current == nil {
		panic(call.Ended("it was asked outside a call of wharfingertest.Host"))
	}
	return current
}

func Take(address netip.Addr) *Refused { return ask().Take(address) }

func TakeFree(ranges, excluded []wharfinger.Range, start netip.Addr) (netip.Addr, bool) {
	return ask().TakeFree(ranges, excluded, start)
}

func Remembered(identity string) []netip.Addr { return ask().Remembered(identity) }

func Remember(identity string) { ask().Remember(identity) }

func UsageOf(ranges []wharfinger.Range) Usage { return ask().UsageOf(ranges) }

func StoreGet(key string) (string, bool) { return ask().StoreGet(key) }

func StorePut(key, value string, lifetime Lifetime) { ask().StorePut(key, value, lifetime) }

func StoreRemove(key string) bool { return ask().StoreRemove(key) }

func StoreScan(prefix, after string, limit uint32) []wharfinger.Pair {
	return ask().StoreScan(prefix, after, limit)
}

func StoreCount(prefix string) uint64 { return ask().StoreCount(prefix) }

func Log(level slog.Level, message string) { ask().Log(level, message) }

func NodeName() string { return ask().NodeName() }

func NodeLabel(name string) (string, bool) { return ask().NodeLabel(name) }

func NodeNow() uint64 { return ask().NodeNow() }
