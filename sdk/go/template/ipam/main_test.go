package main

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/ipam"
	"github.com/wharfinger/wharfinger/sdk/go/wharfingertest"
)

// Two pools: of one address, and of many.
const config = `{"pools": [{"subnet": "10.1.0.0/30"}, {"subnet": "10.2.0.0/24"}]}`

func container(name string) wharfinger.Attachment {
	return wharfinger.NewAttachment("pods", name, "eth0")
}

func TestTheSecondPoolServesWhenTheFirstIsFull(t *testing.T) {
	host := wharfingertest.New()
	// Asked twice, it answers the same.
	for _, step := range []struct{ name, address string }{
		{"a", "10.1.0.2/30"}, {"b", "10.2.0.2/24"}, {"c", "10.2.0.3/24"}, {"a", "10.1.0.2/30"},
	} {
		lease, err := host.Add(plugin, config, container(step.name))
		if err != nil {
			t.Fatal(err)
		}
		if got := lease.Addresses[0].Address.String(); got != step.address {
			t.Errorf("%s got %s, and not %s", step.name, got, step.address)
		}
	}
}

func TestAnAddressAskedForIsGivenOrRefused(t *testing.T) {
	host := wharfingertest.New()
	wanted := netip.MustParseAddr("10.2.0.77")
	lease, err := host.Allocate(plugin, config, ipam.NewRequest(container("a"), wanted))
	if err != nil || lease.Addresses[0].Address.Addr() != wanted {
		t.Fatal(lease, err)
	}
	_, err = host.Allocate(plugin, config, ipam.NewRequest(container("b"), wanted))
	var failure *wharfinger.Failure
	if !errors.As(err, &failure) || failure.Reason != wharfinger.Conflict {
		t.Error(err)
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	bad := `{"pools": [{"subnet": "10.1.0.0/24", "gateway": "fd00::1"}]}`
	problems := wharfingertest.New().Problems(plugin, bad)
	if len(problems) != 1 || problems[0].Pointer != "/pools/0/gateway" {
		t.Error(problems)
	}
}
