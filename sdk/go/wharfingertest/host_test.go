package wharfingertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/ipam"
	"github.com/wharfinger/wharfinger/sdk/go/ipam/remote"
	"github.com/wharfinger/wharfinger/sdk/go/ledger"
	"github.com/wharfinger/wharfinger/sdk/go/node"
	"github.com/wharfinger/wharfinger/sdk/go/plan"
	"github.com/wharfinger/wharfinger/sdk/go/policy"
	"github.com/wharfinger/wharfinger/sdk/go/store"
)

// keeper keeps a container's address for it, and counts in the store.
type keeper struct {
	Pool  ipam.Subnet `json:"pool"`
	Fail  bool        `json:"fail"`
	Steal netip.Addr  `json:"steal"`
}

func (k *keeper) Pools() ([]ipam.Pool, error) { return []ipam.Pool{k.Pool.Pool()}, nil }

func (k *keeper) Allocate(request *ipam.Request) (*ipam.Lease, error) {
	id := request.Attachment.ID
	store.Put("on/"+id.String(), node.Name(), store.Attachment)
	store.Put("ever", "yes", store.Permanent)
	slog.Info("for", "id", id, "at", node.Now().Unix())
	leased, err := k.take(append(request.Wanted, ledger.Remembered(id.Container)...))
	if err != nil {
		return nil, err
	}
	ledger.Remember(id.Container)
	if k.Fail {
		return nil, wharfinger.Failf(wharfinger.TryAgain, "not now")
	}
	if k.Steal.IsValid() {
		leased = k.Pool.Leased(k.Steal)
	}
	return ipam.LeaseOf(leased), nil
}

func (k *keeper) take(own []netip.Addr) (ipam.LeasedAddress, error) {
	if len(own) > 0 {
		return k.Pool.Take(own[0])
	}
	return k.Pool.TakeFree()
}

func (k *keeper) Released(attachment wharfinger.Attachment, lease *ipam.Lease) error {
	return fmt.Errorf("%s had %s", attachment.ID, lease.Addresses[0].Address)
}

var keeping = remote.Export[keeper]()

const config = `{"pool": {"subnet": "10.1.0.0/29"}}`

func container(name string) wharfinger.Attachment {
	return wharfinger.NewAttachment("pods", name, "eth0")
}

func given(t *testing.T, host *Host, name string) string {
	t.Helper()
	lease, err := host.Add(keeping, config, container(name))
	if err != nil {
		t.Fatal(err)
	}
	return lease.Addresses[0].Address.Addr().String()
}

// ends says with what words the host ends what is done.
func ends(t *testing.T, words string, what func()) {
	t.Helper()
	defer func() {
		if said := fmt.Sprint(recover()); !strings.Contains(said, words) {
			t.Errorf("%q, and not %q", said, words)
		}
	}()
	what()
}

func TestAnAddressIsGivenOnceUntilNoneIsLeft(t *testing.T) {
	host, seen := New(), map[string]bool{}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		seen[given(t, host, name)] = true
	}
	if len(seen) != 5 {
		t.Error(seen)
	}
	_, err := host.Add(keeping, config, container("f"))
	var failure *wharfinger.Failure
	if !errors.As(err, &failure) || failure.Reason != wharfinger.Exhausted {
		t.Error(err)
	}
}

func TestAnAddressOfAnotherIsAConflictThatNamesIt(t *testing.T) {
	host := New()
	own := netip.MustParseAddr(given(t, host, "a"))
	_, err := host.Allocate(keeping, config, ipam.NewRequest(container("b"), own))
	var refused *ledger.Refused
	if !errors.As(err, &refused) || refused.Holder.Container != "a" || err.Error() != "10.1.0.2 is held by pods/a/eth0" {
		t.Error(err)
	}
	host.Reserve(netip.MustParseAddr("10.1.0.4"), "a printer")
	_, err = host.Allocate(keeping, config, ipam.NewRequest(container("b"), netip.MustParseAddr("10.1.0.4")))
	if err == nil || err.Error() != "10.1.0.4 is reserved: a printer" {
		t.Error(err)
	}
}

func TestWhatIsRememberedOutlivesReleaseAndReboot(t *testing.T) {
	host := New()
	first := given(t, host, "a")
	host.Del(container("a"))
	if given(t, host, "b") == first {
		t.Error("b has what a is remembered by")
	}
	host.Reboot()
	if again := given(t, host, "a"); again != first {
		t.Error(again, first)
	}
}

func TestAFailureLeavesNothingButItsLog(t *testing.T) {
	host := New()
	host.Clock(7)
	_, err := host.Add(keeping, `{"pool": {"subnet": "10.1.0.0/29"}, "fail": true}`, container("a"))
	if err == nil || len(host.Holds(container("a"))) > 0 {
		t.Error(err)
	}
	if _, is := host.Stored("ever"); is {
		t.Error("the store has what was taken back")
	}
	if log := host.Log(); len(log) != 1 || log[0] != (Line{slog.LevelInfo, "for id=pods/a/eth0 at=7"}) {
		t.Error(log)
	}
}

func TestEntriesOfTheStoreLiveAsLongAsTheySay(t *testing.T) {
	host := New()
	host.Name("n1")
	given(t, host, "a")
	if value, _ := host.Stored("on/pods/a/eth0"); value != "n1" {
		t.Error(value)
	}
	host.Del(container("a"))
	_, on := host.Stored("on/pods/a/eth0")
	if value, _ := host.Stored("ever"); on || value != "yes" {
		t.Error(on, value)
	}
}

func TestARemotePluginIsToldOfReleases(t *testing.T) {
	host := New()
	lease, _ := host.Add(keeping, config, container("a"))
	err := host.Released(keeping, config, container("a"), lease)
	if err == nil || err.Error() != "pods/a/eth0 had 10.1.0.2/29" {
		t.Error(err)
	}
}

func TestWhatTheContractDoesNotAllowEndsTheCall(t *testing.T) {
	ends(t, "10.1.0.6, which it did not take in this call", func() {
		_, _ = New().Add(keeping, `{"pool": {"subnet": "10.1.0.0/29"}, "steal": "10.1.0.6"}`, container("a"))
	})
	ends(t, "outside a call of wharfingertest.Host", func() { store.Get("x") })
	ends(t, "where the contract does not offer it", func() {
		_, _ = New().Admit(counting, `{"meddles": true}`, policy.NewRequest(container("a"), "{}"))
	})
}

// atMost are so many at once.
type atMost struct {
	Most    uint64 `json:"most"`
	Meddles bool   `json:"meddles"`
	Silent  bool   `json:"silent"`
}

func (m *atMost) Admit(request *policy.Request) (policy.Verdict, error) {
	if m.Meddles {
		ledger.Remembered("a")
	}
	if m.Silent {
		return policy.Verdict{}, nil
	}
	store.Put(request.Attachment.ID.String(), "", store.Attachment)
	if store.Count("") > m.Most {
		return policy.Deny("no more"), nil
	}
	return policy.Allow(), nil
}

func (m *atMost) Review(_ *policy.Request, steps []plan.Step, result json.RawMessage) (policy.Verdict, error) {
	for _, step := range steps {
		if forward, is := step.(*plan.ForwardStep); is {
			return policy.Deny("port %d, %s", forward.HostPort, result), nil
		}
	}
	var none []int
	return policy.Deny("%d", none[len(steps)]), nil
}

var counting = policy.Export[atMost]()

func TestARefusalLeavesNothingInTheStore(t *testing.T) {
	host := New()
	admit := func(name string) string {
		verdict, err := host.Admit(counting, `{"most": 1}`, policy.NewRequest(container(name), "{}"))
		return fmt.Sprint(verdict, err)
	}
	for _, step := range []struct{ name, want string }{
		{"a", "allow<nil>"}, {"a", "allow<nil>"}, {"b", "deny: no more<nil>"}, {"c", "deny: no more<nil>"},
	} {
		if got := strings.ReplaceAll(admit(step.name), " <nil>", "<nil>"); got != step.want {
			t.Errorf("%s: %s, and not %s", step.name, got, step.want)
		}
	}
	if _, is := host.Stored("pods/b/eth0"); is {
		t.Error("b is there")
	}
	host.Del(container("a"))
	if got := admit("b"); !strings.HasPrefix(got, "allow") {
		t.Error(got)
	}
}

func TestStepsAreReviewedAndAPanicSaysWhere(t *testing.T) {
	request := policy.NewRequest(container("a"), "{}")
	steps := []plan.Step{&plan.RouteStep{}, &plan.ForwardStep{HostPort: 80}}
	verdict, err := New().Review(counting, "{}", request, steps, `{"ips": []}`)
	if reason, _ := verdict.IsDenied(); err != nil || reason != `port 80, {"ips": []}` {
		t.Error(verdict, err)
	}
	_, err = New().Review(counting, "{}", request, nil, "{}")
	var failure *wharfinger.Failure
	if !errors.As(err, &failure) || !strings.Contains(failure.Message, "index out of range [0]") ||
		!strings.Contains(failure.Message, "Review, host_test.go:") {
		t.Error(err)
	}
	if strings.Contains(failure.Detail, "policy.(*Exported)") {
		t.Error(failure.Detail)
	}
}

func TestAPolicyThatDecidesNothingFails(t *testing.T) {
	_, err := New().Admit(counting, `{"silent": true}`, policy.NewRequest(container("a"), "{}"))
	if err == nil || err.Error() != "the policy decided nothing" {
		t.Error(err)
	}
}

func TestUsageAndTheOrderOfTheSearch(t *testing.T) {
	book := newBook()
	id := container("a").ID
	ranges := []wharfinger.Range{wharfinger.Usable(netip.MustParsePrefix("10.1.0.0/30"))}
	take := func(name, start string) string {
		from, _ := netip.ParseAddr(start)
		address, _ := book.takeFree(container(name).ID, ranges, nil, from)
		return address.String()
	}
	if one, two := take("a", "10.1.0.2"), take("b", ""); one != "10.1.0.2" || two != "10.1.0.1" {
		t.Error(one, two)
	}
	book.release(id)
	usage := book.usageOf(append(ranges, wharfinger.Usable(netip.MustParsePrefix("fd00::/8"))))
	if usage.Total != 1<<53 || usage.Held != 1 || usage.Resting != 1 {
		t.Errorf("%+v", usage)
	}
	if rested := take("c", ""); rested != "10.1.0.2" {
		t.Error(rested)
	}
}
