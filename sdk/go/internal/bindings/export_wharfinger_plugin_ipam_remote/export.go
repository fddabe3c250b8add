//go:build wasm

// Package export_wharfinger_plugin_ipam_remote is what the generated exports call: package remote
// sets it.
package export_wharfinger_plugin_ipam_remote

import (
	"github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wharfinger_plugin_types"
	. "github.com/wharfinger/wharfinger/sdk/go/internal/bindings/wit/types"
)

var Released func(
	config string, attachment wharfinger_plugin_types.Attachment, lease Option[wharfinger_plugin_types.Lease],
) Result[Unit, wharfinger_plugin_types.Failure]
