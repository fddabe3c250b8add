package config

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/wharfinger/wharfinger/sdk/go"
)

type common struct {
	Name string `json:"name"`
}

type port uint16

func (p port) Check(pointer string) []wharfinger.Problem {
	if p == 0 {
		return []wharfinger.Problem{wharfinger.Problemf(pointer, "is 0")}
	}
	return nil
}

type sample struct {
	common
	Embedded
	Pools   map[string][]wharfinger.Range `json:"pools"`
	Size    *uint8                        `json:"size"`
	Server  netip.Addr                    `json:"server"`
	Ports   []port                        `json:"ports"`
	Ratio   float64                       `json:"ratio"`
	Any     any                           `json:"any"`
	private int
}

type Embedded struct {
	Zone string `json:"zone"`
}

func (s *sample) Check(pointer string) []wharfinger.Problem {
	if s.Zone != "bad" {
		return nil
	}
	return []wharfinger.Problem{wharfinger.Problemf(pointer+"/zone", "is bad")}
}

func problems(text string) string {
	var into sample
	var all []string
	for _, problem := range Read(text, &into) {
		all = append(all, problem.String())
	}
	return strings.Join(all, "; ")
}

func TestAProblemSaysWhereItIs(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                                "not JSON: unexpected EOF",
		`{} {}`:                            "not JSON: there is more after the value",
		`[]`:                               "is a list, where an object is expected",
		`{"pools": {"a/b": [1]}}`:          "/pools/a~1b/0: is a number, where text is expected",
		`{"pools": {"a": ["ten"]}}`:        `/pools/a/0: "ten" is neither an address, a network, nor two addresses with a '-'`,
		`{"pools": []}`:                    "/pools: is a list, where an object is expected",
		`{"size": 300}`:                    "/size: is the number 300, where a whole number from 0 to 255 is expected",
		`{"size": 1.5, "ratio": "x"}`:      "/size: is the number 1.5, where a whole number from 0 to 255 is expected; /ratio: is text, where a number is expected",
		`{"server": "fe80::1%eth0"}`:       `/server: "fe80::1%eth0" is no address: "10.1.0.7" and "fd00::7" are`,
		`{"ports": [1, 0], "zone": "bad"}`: "/ports/1: is 0; /zone: is bad",
		`{"ports": [0], "size": -1}`:       "/size: is the number -1, where a whole number from 0 to 255 is expected",
		`{"ports": null, "any": {"a": 1}, "zone": "z", "server": "fd00::1"}`: "",
		`{"Zone": "z"}`:  "/Zone: is no key that is known: there are zone, pools, size, server, ports, ratio, any",
		`{"private": 1}`: "/private: is no key that is known: there are zone, pools, size, server, ports, ratio, any",
	} {
		if got := problems(text); got != want {
			t.Errorf("%s:\n%s\n%s", text, got, want)
		}
	}
}

func TestWhatIsTheHostsIsNotThePlugins(t *testing.T) {
	if got := problems(`{"type": "x", "coolDown": 3, "secrets": ["/token"], "pools": {}}`); got != "" {
		t.Error(got)
	}
	if got := problems(`{"pools": {"type": []}, "ports": [{"type": 1}]}`); got != "/ports/0: is an object, where a whole number from 0 to 65535 is expected" {
		t.Error(got)
	}
}

func TestWhatIsDeepOrHugeIsReadOrRefused(t *testing.T) {
	for _, deep := range []string{
		strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000),
	} {
		if got := problems(fmt.Sprintf(`{"size": %s}`, deep)); !strings.HasPrefix(got, "/size: is ") {
			t.Error(got)
		}
	}
	huge := problems(fmt.Sprintf(`{"server": %q}`, strings.Repeat("x", 1<<20)))
	if len(huge) > 600 || !strings.HasPrefix(huge, "/server: ") {
		t.Error(len(huge))
	}
}
