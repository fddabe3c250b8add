//go:build wasm

// Package export_wharfinger_plugin_policy is what the generated exports call: package policy sets it.
package export_wharfinger_plugin_policy

import (
	"github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wharfinger_plugin_plan"
	"github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wharfinger_plugin_policy"
	"github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wharfinger_plugin_types"
	. "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wit/types"
)

type answer = Result[wharfinger_plugin_policy.Verdict, wharfinger_plugin_types.Failure]

var (
	Validate func(config string) []wharfinger_plugin_types.Problem
	Admit    func(wharfinger_plugin_policy.Request) answer
	Review   func(request wharfinger_plugin_policy.Request, steps []wharfinger_plugin_plan.Step, result string) answer
)
