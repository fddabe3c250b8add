//go:build !wasm

package wharfingertest

import (
	"fmt"
	"maps"
	"math/big"
	"net/netip"
	"slices"
	"strings"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/internal/host"
)

// book is the ledger and the store in memory, as plain as can be.
type book struct {
	held       map[netip.Addr]wharfinger.AttachmentID
	resting    map[netip.Addr]bool
	reserved   map[netip.Addr]string
	identities map[string][]netip.Addr
	// cursors are the last address taken of each list of ranges.
	cursors map[string]netip.Addr
	store   map[string]entry
}

// entry is a value, and whose it is where it goes with its attachment.
type entry struct {
	value string
	owner *wharfinger.AttachmentID
}

func newBook() book {
	return book{
		held:       map[netip.Addr]wharfinger.AttachmentID{},
		resting:    map[netip.Addr]bool{},
		reserved:   map[netip.Addr]string{},
		identities: map[string][]netip.Addr{},
		cursors:    map[string]netip.Addr{},
		store:      map[string]entry{},
	}
}

func (b book) clone() book {
	return book{
		held:       maps.Clone(b.held),
		resting:    maps.Clone(b.resting),
		reserved:   maps.Clone(b.reserved),
		identities: maps.Clone(b.identities),
		cursors:    maps.Clone(b.cursors),
		store:      maps.Clone(b.store),
	}
}

// sorted are the keys of a map of addresses, in the addresses' order.
func sorted[V any](of map[netip.Addr]V) []netip.Addr {
	return slices.SortedFunc(maps.Keys(of), netip.Addr.Compare)
}

func (b book) holds(id wharfinger.AttachmentID) []netip.Addr {
	return slices.DeleteFunc(sorted(b.held), func(address netip.Addr) bool { return b.held[address] != id })
}

func (b book) release(id wharfinger.AttachmentID) {
	b.settle(id, nil)
	maps.DeleteFunc(b.store, func(_ string, e entry) bool { return e.owner != nil && *e.owner == id })
}

func (b book) reboot() {
	clear(b.held)
	clear(b.resting)
	clear(b.cursors)
	maps.DeleteFunc(b.store, func(_ string, e entry) bool { return e.owner != nil })
}

// settle leaves the attachment these and no others.
func (b book) settle(id wharfinger.AttachmentID, leased []netip.Addr) {
	for _, address := range b.holds(id) {
		if !slices.Contains(leased, address) {
			delete(b.held, address)
			b.resting[address] = true
		}
	}
}

func (b book) take(id wharfinger.AttachmentID, address netip.Addr) *host.Refused {
	if why, is := b.reserved[address]; is {
		return &host.Refused{Address: address, Reserved: why}
	}
	if owner, is := b.held[address]; is && owner != id {
		return &host.Refused{Address: address, Holder: &owner}
	}
	delete(b.resting, address)
	b.held[address] = id
	return nil
}

func (b book) takeFree(
	id wharfinger.AttachmentID, ranges, excluded []wharfinger.Range, start netip.Addr,
) (netip.Addr, bool) {
	free, ok := b.free(id, ranges, excluded, start)
	if ok {
		b.take(id, free)
		b.cursors[fmt.Sprint(ranges)] = free
	}
	return free, ok
}

// free is what TakeFree takes, in the contract's order.
func (b book) free(
	id wharfinger.AttachmentID, ranges, excluded []wharfinger.Range, start netip.Addr,
) (netip.Addr, bool) {
	may := func(address netip.Addr) bool { return within(ranges, address) && !within(excluded, address) }
	nobodys := func(address netip.Addr) bool {
		_, held := b.held[address]
		_, reserved := b.reserved[address]
		return !held && !reserved
	}
	var kept []netip.Addr
	for _, identity := range slices.Sorted(maps.Keys(b.identities)) {
		kept = append(kept, b.identities[identity]...)
	}
	fresh := func(address netip.Addr) bool {
		return nobodys(address) && !b.resting[address] && !slices.Contains(kept, address)
	}
	if own, ok := first(b.holds(id), may); ok {
		return own, true
	}
	if last, is := b.cursors[fmt.Sprint(ranges)]; is && !within(ranges, start) {
		start = last.Next()
	}
	for _, r := range rounds(ranges, start) {
		if address, ok := firstIn(r, excluded, fresh); ok {
			return address, true
		}
	}
	rests := func(address netip.Addr) bool { return may(address) && !slices.Contains(kept, address) }
	if address, ok := first(sorted(b.resting), rests); ok {
		return address, true
	}
	return first(kept, func(address netip.Addr) bool { return may(address) && nobodys(address) })
}

func within(ranges []wharfinger.Range, address netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(r wharfinger.Range) bool { return r.Contains(address) })
}

func first(of []netip.Addr, good func(netip.Addr) bool) (netip.Addr, bool) {
	at := slices.IndexFunc(of, good)
	if at < 0 {
		return netip.Addr{}, false
	}
	return of[at], true
}

// rounds are the ranges in the order of the search: from start on, all that follow, and round.
func rounds(ranges []wharfinger.Range, start netip.Addr) []wharfinger.Range {
	at := slices.IndexFunc(ranges, func(r wharfinger.Range) bool { return r.Contains(start) })
	if at < 0 {
		return ranges
	}
	rest := wharfinger.Range{First: start, Last: ranges[at].Last}
	return slices.Concat([]wharfinger.Range{rest}, ranges[at+1:], ranges)
}

// firstIn is the first address of a range that is good; what is excluded is jumped over.
func firstIn(r wharfinger.Range, excluded []wharfinger.Range, good func(netip.Addr) bool) (netip.Addr, bool) {
	for address := r.First; address.IsValid() && r.Contains(address); address = address.Next() {
		jump := slices.IndexFunc(excluded, func(r wharfinger.Range) bool { return r.Contains(address) })
		if jump >= 0 {
			address = excluded[jump].Last
		} else if good(address) {
			return address, true
		}
	}
	return netip.Addr{}, false
}

func (b book) usageOf(ranges []wharfinger.Range) host.Usage {
	usage := host.Usage{Total: size(ranges)}
	for address := range b.held {
		if within(ranges, address) {
			usage.Held++
		}
	}
	for address := range b.resting {
		if within(ranges, address) {
			usage.Resting++
		}
	}
	kept := map[netip.Addr]bool{}
	for _, addresses := range b.identities {
		for _, address := range addresses {
			if _, held := b.held[address]; !held && within(ranges, address) {
				kept[address] = true
			}
		}
	}
	usage.Remembered = uint64(len(kept))
	return usage
}

// size is how many addresses there are, as far as the contract counts.
func size(ranges []wharfinger.Range) uint64 {
	total, most := new(big.Int), new(big.Int).Lsh(big.NewInt(1), 53)
	for _, r := range ranges {
		number := func(address netip.Addr) *big.Int { return new(big.Int).SetBytes(address.AsSlice()) }
		total.Add(total, new(big.Int).Sub(number(r.Last), number(r.First)))
		total.Add(total, big.NewInt(1))
	}
	if total.Cmp(most) > 0 {
		total = most
	}
	return total.Uint64()
}

func (b book) scan(prefix, after string, limit uint32) (pairs []wharfinger.Pair) {
	for _, key := range slices.Sorted(maps.Keys(b.store)) {
		if uint64(len(pairs)) >= uint64(limit) {
			break
		}
		if strings.HasPrefix(key, prefix) && (after == "" || key > after) {
			pairs = append(pairs, wharfinger.Pair{Name: key, Value: b.store[key].value})
		}
	}
	return pairs
}

func (b book) count(prefix string) (count uint64) {
	for key := range b.store {
		if strings.HasPrefix(key, prefix) {
			count++
		}
	}
	return count
}
