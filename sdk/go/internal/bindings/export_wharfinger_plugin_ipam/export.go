//go:build wasm

// Package export_wharfinger_plugin_ipam is what the generated exports call: package ipam sets it.
package export_wharfinger_plugin_ipam

import (
	"github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wharfinger_plugin_ipam"
	"github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wharfinger_plugin_types"
	. "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wit/types"
)

var (
	Validate func(config string) []wharfinger_plugin_types.Problem
	Pools    func(config string) Result[[]wharfinger_plugin_ipam.Pool, wharfinger_plugin_types.Failure]
	Allocate func(wharfinger_plugin_ipam.Request) Result[wharfinger_plugin_types.Lease, wharfinger_plugin_types.Failure]
)
