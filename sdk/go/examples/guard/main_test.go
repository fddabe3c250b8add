package main

import (
	"testing"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/policy"
	"github.com/wharfinger/wharfinger/sdk/go/wharfingertest"
)

func pod(namespace, container string) wharfinger.Attachment {
	return wharfinger.NewAttachment("pods", container, "eth0").WithPod(namespace, container)
}

func verdict(t *testing.T, host *wharfingertest.Host, config string, request *policy.Request) string {
	t.Helper()
	verdict, err := host.Admit(plugin, config, request)
	if err != nil {
		return "failure: " + err.Error()
	}
	return verdict.String()
}

func same(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%q, and not %q", got, want)
	}
}

func TestNamespacesThatAreNamedPass(t *testing.T) {
	const config = `{"namespaces": ["web"]}`
	host := wharfingertest.New()
	admit := func(attachment wharfinger.Attachment) string {
		return verdict(t, host, config, policy.NewRequest(attachment, "{}"))
	}
	same(t, admit(pod("web", "a")), "allow")
	same(t, admit(pod("db", "a")), "deny: namespace db is not attached")
	same(t, admit(wharfinger.NewAttachment("pods", "a", "eth0")), "deny: an attachment without a pod is refused")
}

func TestPortsOfTheHost(t *testing.T) {
	for runtime, want := range map[string]string{
		`{}`:                   "allow",
		`{"portMappings": []}`: "allow",
		`{"portMappings": [{"hostPort": 80}, {"hostPort": 8100}, {"hostPort": 0}, {}]}`: "allow",
		`{"portMappings": [{"hostPort": 80}, {"hostPort": 8101}]}`:                      "deny: port 8101 of the host is not allowed",
		`{"portMappings": [{"hostPort": 22, "HOSTPORT": 80}]}`:                          "deny: port 22 of the host is not allowed",
		`{"portMappings": [{"hostPort": "80"}]}`:                                        "failure: portMappings: not a list of ports",
		`{"portMappings": {"hostPort": 80}}`:                                            "failure: portMappings: not a list of ports",
		`{"portMappings": [null]}`:                                                      "failure: portMappings: not a list of ports",
		`{"portMappings": [{"hostPort": 65616}]}`:                                       "failure: portMappings: not a list of ports",
	} {
		request := policy.NewRequest(pod("web", "a"), "{}")
		request.Written.Runtime = []byte(runtime)
		same(t, verdict(t, wharfingertest.New(), `{"hostPorts": ["80", "8000-8100"]}`, request), want)
	}
}

func TestANamespaceHasItsQuotaAndWhatIsReleasedIsFree(t *testing.T) {
	host := wharfingertest.New()
	admit := func(namespace, container string) string {
		return verdict(t, host, `{"quota": 1}`, policy.NewRequest(pod(namespace, container), "{}"))
	}
	same(t, admit("web", "a"), "allow")
	same(t, admit("web", "a"), "allow")
	same(t, admit("web", "b"), "deny: namespace web has 1 attachments, and may have 1")
	same(t, admit("web-too", "c"), "allow")
	host.Del(pod("web", "a"))
	same(t, admit("web", "b"), "allow")
}

func TestTheMTUIsSet(t *testing.T) {
	request := policy.NewRequest(pod("web", "a"), "{}")
	same(t, verdict(t, wharfingertest.New(), `{"mtu": 1400}`, request), `amend: {"mtu":1400}`)
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	for config, want := range map[string]string{
		`{"hostPorts": ["x"]}`:     `/hostPorts/0: "x" is no port and no range of ports`,
		`{"hostPorts": ["9-8"]}`:   `/hostPorts/0: "9-8" is no port and no range of ports`,
		`{"quota": 0}`:             "/quota: is 0: at least 1",
		`{"quota": -1}`:            "/quota: is the number -1, where a whole number from 0 to 18446744073709551615 is expected",
		`{"mtu": 67}`:              "/mtu: is 67: from 68 to 65535",
		`{"namespace": ["web"]}`:   `/namespace: is no key that is known: there are namespaces, hostPorts, quota, mtu`,
		`{"namespaces": ["a", 1]}`: "/namespaces/1: is a number, where text is expected",
	} {
		problems := wharfingertest.New().Problems(plugin, config)
		if len(problems) != 1 {
			t.Fatalf("%s: %v", config, problems)
		}
		same(t, problems[0].String(), want)
	}
}
