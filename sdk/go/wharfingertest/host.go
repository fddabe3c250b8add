//go:build !wasm

// Package wharfingertest is a host in memory, for unit tests: a ledger, a store, a node and a log
// that behave as the real ones.
//
//	host := wharfingertest.New()
//	web := wharfinger.NewAttachment("pods", "web", "eth0")
//	lease, err := host.Add(plugin, `{"pool": {"subnet": "10.1.0.0/24"}}`, web)
//
// A call that the real host would end as a trap (a package asked where the contract does not offer
// it, a lease with an address that was not taken) panics.
package wharfingertest

import (
	"log/slog"
	"net/netip"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/internal/host"
	"github.com/wharfinger/wharfinger/sdk/go/internal/logging"
	"github.com/wharfinger/wharfinger/sdk/go/ipam"
	"github.com/wharfinger/wharfinger/sdk/go/plan"
	"github.com/wharfinger/wharfinger/sdk/go/policy"
)

// Host is a host in memory.
type Host struct {
	book   book
	name   string
	labels map[string]string
	now    uint64
	log    []Line
}

// Line is one of the log.
type Line struct {
	Level   slog.Level
	Message string
}

// New is one with an empty book, a node named "node", and the clock at zero.
func New() *Host {
	return &Host{book: newBook(), name: "node", labels: map[string]string{}}
}

// Name names the node.
func (h *Host) Name(name string) { h.name = name }

// Label writes down something about the node.
func (h *Host) Label(name, value string) { h.labels[name] = value }

// Clock sets the clock: seconds since the Unix epoch.
func (h *Host) Clock(now uint64) { h.now = now }

// Reserve reserves an address, as an operator does.
func (h *Host) Reserve(address netip.Addr, why string) { h.book.reserved[address] = why }

// Add is an ADD: allocates, checks the lease as the real host does, and keeps it. After an error
// nothing has changed but the log.
func (h *Host) Add(plugin *ipam.Exported, config string, attachment wharfinger.Attachment) (*ipam.Lease, error) {
	return h.Allocate(plugin, config, ipam.NewRequest(attachment))
}

// Allocate is the same with all of a request.
func (h *Host) Allocate(plugin *ipam.Exported, config string, request *ipam.Request) (lease *ipam.Lease, err error) {
	done := h.call(allocate, &request.Attachment, func() {
		answer, failure := plugin.Allocate(config, request)
		lease, err = answer, asError(failure)
	})
	if err != nil {
		return nil, err
	}
	judge(lease, done.taken, request.Wanted)
	done.commit(h, lease)
	return lease, nil
}

// Del is a DEL: gives back what the attachment holds, and drops what the store has for its time.
func (h *Host) Del(attachment wharfinger.Attachment) { h.book.release(attachment.ID) }

// Reboot is one of the node: only what is remembered, and permanent entries of the store, stay.
func (h *Host) Reboot() { h.book.reboot() }

// Released is what the host tells a remote plugin once its own book is closed.
func (h *Host) Released(
	plugin *ipam.Exported, config string, attachment wharfinger.Attachment, lease *ipam.Lease,
) (err error) {
	h.call(released, &attachment, func() {
		err = asError(plugin.Released(config, attachment, lease))
	})
	return err
}

// Problems is what is wrong with a configuration of an *ipam.Exported or *policy.Exported.
func (h *Host) Problems(plugin interface {
	Validate(string) []wharfinger.Problem
}, config string) (problems []wharfinger.Problem) {
	h.call(outside, nil, func() {
		problems = plugin.Validate(config)
	})
	return problems
}

// Pools are a configuration's.
func (h *Host) Pools(plugin *ipam.Exported, config string) (pools []ipam.Pool, err error) {
	h.call(outside, nil, func() {
		answer, failure := plugin.Pools(config)
		pools, err = answer, asError(failure)
	})
	return pools, err
}

// Admit asks a policy before anything is allocated. What it stored is kept if it did not refuse.
func (h *Host) Admit(plugin *policy.Exported, config string, request *policy.Request) (policy.Verdict, error) {
	return h.judged(request, func() (policy.Verdict, *wharfinger.Failure) {
		return plugin.Admit(config, request)
	})
}

// Review asks a policy with all that is about to happen.
func (h *Host) Review(
	plugin *policy.Exported, config string, request *policy.Request, steps []plan.Step, result string,
) (policy.Verdict, error) {
	return h.judged(request, func() (policy.Verdict, *wharfinger.Failure) {
		return plugin.Review(config, request, steps, []byte(result))
	})
}

// Holds is what an attachment holds, in the addresses' order.
func (h *Host) Holds(attachment wharfinger.Attachment) []netip.Addr {
	return h.book.holds(attachment.ID)
}

// Stored is an entry of the store.
func (h *Host) Stored(key string) (value string, ok bool) {
	entry, ok := h.book.store[key]
	return entry.value, ok
}

// Log is all that was logged.
func (h *Host) Log() []Line { return h.log }

func (h *Host) judged(
	request *policy.Request, ask func() (policy.Verdict, *wharfinger.Failure),
) (verdict policy.Verdict, err error) {
	done := h.call(judges, &request.Attachment, func() {
		answer, failure := ask()
		verdict, err = answer, asError(failure)
	})
	if _, refused := verdict.IsDenied(); err == nil && !refused {
		done.commit(h, &ipam.Lease{})
	}
	return verdict, err
}

// call is one call, with this host as what the packages of the SDK ask, and log/slog told.
func (h *Host) call(kind kind, attachment *wharfinger.Attachment, work func()) *current {
	now := &current{kind: kind, host: h, book: h.book.clone()}
	if attachment != nil {
		now.id = &attachment.ID
	}
	host.Run(now, func() {
		before := slog.Default()
		slog.SetDefault(slog.New(logging.Handler()))
		defer slog.SetDefault(before)
		work()
	})
	return now
}

// asError keeps a nil failure a nil error.
func asError(failure *wharfinger.Failure) error {
	if failure == nil {
		return nil
	}
	return failure
}
