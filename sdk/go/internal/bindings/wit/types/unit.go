//go:build wasm

package wit_types

type Unit struct{}
