package wharfinger

import (
	"net/netip"
	"testing"
)

func TestUsableAddressesOfEverySize(t *testing.T) {
	for network, usable := range map[string]string{
		"10.1.0.0/24": "10.1.0.1-10.1.0.254",
		"10.1.0.0/30": "10.1.0.1-10.1.0.2",
		"10.1.0.0/31": "10.1.0.0-10.1.0.1",
		"10.1.0.9/32": "10.1.0.9",
		"fd00::/126":  "fd00::1-fd00::3",
		"fd00::/127":  "fd00::-fd00::1",
		"::/0":        "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	} {
		if got := Usable(netip.MustParsePrefix(network)).String(); got != usable {
			t.Errorf("%s: %s, and not %s", network, got, usable)
		}
	}
}

func TestRangesAreReadStrictly(t *testing.T) {
	for text, want := range map[string]string{
		"10.1.0.2-10.1.0.3": "10.1.0.2-10.1.0.3",
		"10.1.0.2":          "10.1.0.2",
		"10.1.0.0/30":       "10.1.0.1-10.1.0.2",
	} {
		if got, err := ParseRange(text); err != nil || got.String() != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, bad := range []string{
		"", "-", "10.1.0.3-10.1.0.2", "10.1.0.1-fd00::1", "10.1.0.0/33", "ten", "fe80::1%eth0", "::ffff:10.1.0.1",
	} {
		if got, err := ParseRange(bad); err == nil {
			t.Errorf("%q is %s", bad, got)
		}
	}
}
