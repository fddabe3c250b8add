package main

import (
	"testing"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/policy"
	"github.com/wharfinger/wharfinger/sdk/go/wharfingertest"
)

func verdict(t *testing.T, attachment wharfinger.Attachment) policy.Verdict {
	t.Helper()
	request := policy.NewRequest(attachment, `{"name": "pods"}`)
	verdict, err := wharfingertest.New().Admit(plugin, `{"namespaces": ["web"]}`, request)
	if err != nil {
		t.Fatal(err)
	}
	return verdict
}

func TestNamespacesThatAreNamedPass(t *testing.T) {
	attachment := wharfinger.NewAttachment("pods", "a", "eth0")
	if got := verdict(t, attachment.WithPod("web", "a")); got != policy.Allow() {
		t.Error(got)
	}
	if got := verdict(t, attachment.WithPod("db", "a")); got != policy.Deny("namespace db is not attached to this network") {
		t.Error(got)
	}
	if got := verdict(t, attachment); got != policy.Deny("only pods are attached here") {
		t.Error(got)
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	problems := wharfingertest.New().Problems(plugin, `{"namespaces": [1]}`)
	if len(problems) != 1 || problems[0].Pointer != "/namespaces/0" {
		t.Error(problems)
	}
}
