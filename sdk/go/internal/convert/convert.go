//go:build wasm

// Package convert makes the contract's records of ours, and ours of the contract's. What the host
// wrote is read as strictly as the contract says it is.
package convert

import (
	"fmt"
	"net/netip"

	"github.com/wharfinger/wharfinger/sdk/go"
	wit "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wharfinger_plugin_types"
	. "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wit/types"
	"github.com/wharfinger/wharfinger/sdk/go/internal/call"
)

// Maybe is an option as a pointer.
func Maybe[T any](option Option[T]) *T {
	if option.IsNone() {
		return nil
	}
	value := option.Some()
	return &value
}

// Option is a pointer as an option.
func OptionOf[T any](value *T) Option[T] {
	if value == nil {
		return None[T]()
	}
	return Some(*value)
}

// Text is "" for none, and the other way round.
func Text(option Option[string]) string { return option.SomeOr("") }

// OptionOfText is none for "".
func OptionOfText(text string) Option[string] {
	if text == "" {
		return None[string]()
	}
	return Some(text)
}

// OptionOfAddress is none for the zero address.
func OptionOfAddress(address netip.Addr) Option[string] {
	if !address.IsValid() {
		return None[string]()
	}
	return Some(address.String())
}

// Address is one that the host wrote: another ends the call.
func Address(text string) netip.Addr { return must(netip.ParseAddr(text)) }

// Network is one with its host bits.
func Network(text string) netip.Prefix { return must(netip.ParsePrefix(text)) }

func must[T any](value T, err error) T {
	if err != nil {
		panic(fmt.Errorf("the host wrote what its contract does not know: %w", err))
	}
	return value
}

// MaybeAddress is the zero address for none.
func MaybeAddress(option Option[string]) netip.Addr {
	if option.IsNone() {
		return netip.Addr{}
	}
	return Address(option.Some())
}

// All converts a list.
func All[A, B any](list []A, one func(A) B) []B {
	all := make([]B, len(list))
	for i, item := range list {
		all[i] = one(item)
	}
	return all
}

// Addresses are texts.
func Addresses(list []netip.Addr) []string { return All(list, netip.Addr.String) }

// Range is the contract's.
func Range(r wharfinger.Range) wit.AddressRange {
	return wit.AddressRange{First: r.First.String(), Last: r.Last.String()}
}

// Pair is ours.
func Pair(pair wit.Pair) wharfinger.Pair {
	return wharfinger.Pair{Name: pair.Name, Value: pair.Value}
}

// ID is ours.
func ID(id wit.AttachmentId) wharfinger.AttachmentID {
	return wharfinger.AttachmentID{Network: id.Network, Container: id.Container, Ifname: id.Ifname}
}

// Attachment is ours.
func Attachment(given wit.Attachment) wharfinger.Attachment {
	attachment := wharfinger.Attachment{ID: ID(given.Id), Args: All(given.Args, Pair)}
	if pod := Maybe(given.Pod); pod != nil {
		attachment.Pod = &wharfinger.Pod{Namespace: pod.Namespace, Name: pod.Name, UID: Text(pod.Uid)}
	}
	return attachment
}

// Problem is the contract's.
func Problem(problem wharfinger.Problem) wit.Problem {
	return wit.Problem{Pointer: problem.Pointer, Message: problem.Message}
}

// Failure is the contract's.
func Failure(failure *wharfinger.Failure) wit.Failure {
	reasons := map[wharfinger.Reason]wit.Reason{
		wharfinger.InvalidConfig: wit.Reason_InvalidConfig,
		wharfinger.Exhausted:     wit.Reason_Exhausted,
		wharfinger.Conflict:      wit.Reason_Conflict,
		wharfinger.TryAgain:      wit.Reason_TryAgain,
	}
	reason, known := reasons[failure.Reason]
	if !known {
		reason = wit.Reason_Other
	}
	return wit.Failure{Reason: reason, Message: failure.Message, Detail: OptionOfText(failure.Detail)}
}

// Route is ours.
func Route(given wit.Route) wharfinger.Route {
	return wharfinger.Route{
		Destination: Network(given.Destination),
		Gateway:     MaybeAddress(given.Gateway),
		MTU:         Maybe(given.Mtu),
		AdvMSS:      Maybe(given.Advmss),
		Priority:    Maybe(given.Priority),
		Table:       Maybe(given.Table),
		Scope:       Maybe(given.Scope),
	}
}

// WitRoute is the contract's.
func WitRoute(route wharfinger.Route) wit.Route {
	return wit.Route{
		Destination: route.Destination.String(),
		Gateway:     OptionOfAddress(route.Gateway),
		Mtu:         OptionOf(route.MTU),
		Advmss:      OptionOf(route.AdvMSS),
		Priority:    OptionOf(route.Priority),
		Table:       OptionOf(route.Table),
		Scope:       OptionOf(route.Scope),
	}
}

// Guarded is work's answer; of a panic, also one of converting, it is a failure.
func Guarded[T any](work func() Result[T, wit.Failure]) (answer Result[T, wit.Failure]) {
	defer func() {
		if value := recover(); value != nil {
			answer = Err[T](Failure(call.Recovered(value)))
		}
	}()
	return work()
}

// Answer is a value as the contract has it, or the failure.
func Answer[A, B any](value A, failed *wharfinger.Failure, to func(A) B) Result[B, wit.Failure] {
	if failed != nil {
		return Err[B](Failure(failed))
	}
	return Ok[B, wit.Failure](to(value))
}
