package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/wharfinger/wharfinger/sdk/go"
	"github.com/wharfinger/wharfinger/sdk/go/wharfingertest"
)

func TestAPanicIsAFailureThatSaysWhere(t *testing.T) {
	host := wharfingertest.New()
	config := `{"pool": {"subnet": "10.1.0.0/24"}, "plant": "exception"}`
	_, err := host.Add(plugin, config, wharfinger.NewAttachment("pods", "a", "eth0"))
	var failure *wharfinger.Failure
	if !errors.As(err, &failure) || failure.Reason != wharfinger.Other {
		t.Fatal(err)
	}
	if !strings.HasPrefix(failure.Message, "panic: an attachment without a pod (") ||
		!strings.Contains(failure.Message, ".addressOf, main.go:") {
		t.Error(failure.Message)
	}
	if log := host.Log(); len(log) != 1 || log[0].Message != "planting exception" {
		t.Error(log)
	}
}
