package main

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/ipam"
	"github.com/wharfinger/wharfinger/sdk/go/wharfingertest"
)

const (
	small  = `{"ranges": [[{"subnet": "10.1.0.0/30"}, {"subnet": "10.2.0.0/30"}]]}`
	dual   = `{"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]], "routes": [{"dst": "::/0"}]}`
	sticky = `{"ranges": [[{"subnet": "10.1.0.0/29"}]], "sticky": true}`
)

func container(name string) wharfinger.Attachment {
	return wharfinger.NewAttachment("pods", name, "eth0")
}

func pod(name, container string) wharfinger.Attachment {
	return wharfinger.NewAttachment("pods", container, "eth0").WithPod("db", name)
}

func given(t *testing.T, host *wharfingertest.Host, config string, attachment wharfinger.Attachment) string {
	t.Helper()
	lease, err := host.Add(plugin, config, attachment)
	if err != nil {
		t.Fatal(err)
	}
	return lease.Addresses[0].Address.String()
}

func refused(t *testing.T, err error, reason wharfinger.Reason, message string) {
	t.Helper()
	var failure *wharfinger.Failure
	if !errors.As(err, &failure) || failure.Reason != reason || failure.Message != message {
		t.Fatalf("%v, and not %s: %s", err, reason, message)
	}
}

func TestRangesOfASetServeOneAfterTheOther(t *testing.T) {
	host := wharfingertest.New()
	for _, want := range []struct{ name, address string }{{"a", "10.1.0.2/30"}, {"b", "10.2.0.2/30"}, {"a", "10.1.0.2/30"}} {
		if got := given(t, host, small, container(want.name)); got != want.address {
			t.Errorf("%s got %s, and not %s", want.name, got, want.address)
		}
	}
	_, err := host.Add(plugin, small, container("c"))
	refused(t, err, wharfinger.Exhausted, "set 0 has no free address")
}

func TestAnAddressOfEachSet(t *testing.T) {
	lease, err := wharfingertest.New().Add(plugin, dual, container("a"))
	if err != nil {
		t.Fatal(err)
	}
	want := ipam.LeasedAddress{Address: netip.MustParsePrefix("fd00::2/64"), Gateway: netip.MustParseAddr("fd00::1")}
	if len(lease.Addresses) != 2 || lease.Addresses[1] != want || len(lease.Routes) != 1 {
		t.Errorf("%+v", lease)
	}
}

func TestAnAddressAskedForIsGivenOrRefused(t *testing.T) {
	host := wharfingertest.New()
	ask := func(name, address string) error {
		_, err := host.Allocate(plugin, sticky, ipam.NewRequest(container(name), netip.MustParseAddr(address)))
		return err
	}
	if err := ask("a", "10.1.0.5"); err != nil {
		t.Fatal(err)
	}
	refused(t, ask("b", "10.1.0.5"), wharfinger.Conflict, "10.1.0.5 is held by pods/a/eth0")
	host.Reserve(netip.MustParseAddr("10.1.0.4"), "a printer")
	refused(t, ask("b", "10.1.0.4"), wharfinger.Conflict, "10.1.0.4 is reserved: a printer")
	refused(t, ask("b", "10.9.0.1"), wharfinger.Conflict, "10.9.0.1 is in none of the ranges")
	refused(t, ask("b", "10.1.0.1"), wharfinger.Conflict, "10.1.0.1 is in none of the ranges")
}

func TestAPodThatIsMadeAnewHasItsAddressAgain(t *testing.T) {
	host := wharfingertest.New()
	own := given(t, host, sticky, pod("db-0", "a"))
	host.Del(pod("db-0", "a"))
	if other := given(t, host, sticky, pod("db-1", "b")); other == own {
		t.Errorf("db-1 got %s, which is db-0's", other)
	}
	host.Reboot()
	if again := given(t, host, sticky, pod("db-0", "c")); again != own {
		t.Errorf("db-0 got %s, and had %s", again, own)
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	for config, want := range map[string]string{
		`{}`:               "/ranges: is empty: there is nothing to give",
		`{"ranges": [[]]}`: "/ranges/0: is empty: there is nothing to give",
		`{"ranges": [[{"subnet": "10.1.0.9/24"}]]}`:                       "/ranges/0/0/subnet: has host bits set: the network is 10.1.0.0/24",
		`{"ranges": [[{"subnet": "ten"}]]}`:                               `/ranges/0/0/subnet: "ten" is no network: "10.1.0.0/24" and "fd00::/64" are`,
		`{"ranges": [[{"subnet": "10.1.0.0/24", "gateway": "fd00::1"}]]}`: "/ranges/0/0/gateway: fd00::1 is of another family than 10.1.0.0/24",
		`{"ranges": [[{"subnet": "10.1.0.0/24", "mask": 24}]]}`:           `/ranges/0/0/mask: is no key that is known: there are subnet, rangeStart, rangeEnd, gateway, exclude`,
		`{"ranges": [[{"subnet": "10.1.0.0/24"}]], "sticky": 1}`:          "/sticky: is a number, where true or false is expected",
	} {
		problems := wharfingertest.New().Problems(plugin, config)
		if len(problems) != 1 || problems[0].String() != want {
			t.Errorf("%s: %v, and not %s", config, problems, want)
		}
	}
}
