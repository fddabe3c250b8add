// Package config reads a plugin's configuration by the rules of encoding/json with
// DisallowUnknownFields, but says where each problem is, and finds them all. It does no I/O.
// Start reading at Read.
package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"strings"

	"github.com/wharfinger/wharfinger/sdk/go"
)

// Keys that the host reads; they may stand in the configuration beside the plugin's own. What
// "resolvConf" names the host reads, and puts "dns" in its place.
var hosts = []string{
	"type", "plugin", "policies", "coolDown", "statusWhenFull", "domain", "secrets", "resolvConf",
}

// Read reads text, less the keys that are the host's, into the value that into points to. What
// its types find comes first; where that is nothing, what each [wharfinger.Checker] says.
func Read(text string, into any) []wharfinger.Problem {
	raw, err := document(text)
	if err != nil {
		return []wharfinger.Problem{wharfinger.Problemf("", "not JSON: %v", err)}
	}
	value := reflect.ValueOf(into).Elem()
	if problems := decode("", raw, value, hosts); len(problems) > 0 {
		return problems
	}
	return check("", value)
}

// Failure names the first problem, and all of them in its detail.
func Failure(problems []wharfinger.Problem) *wharfinger.Failure {
	failure := wharfinger.Failf(wharfinger.InvalidConfig, "%s", problems[0])
	if len(problems) == 1 {
		return failure
	}
	lines := make([]string, len(problems))
	for i, problem := range problems {
		lines[i] = problem.String()
	}
	return failure.WithDetail(strings.Join(lines, "\n"))
}

// document is the text as one JSON value.
func document(text string) (json.RawMessage, error) {
	var raw json.RawMessage
	decoder := json.NewDecoder(strings.NewReader(text))
	if err := decoder.Decode(&raw); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, fmt.Errorf("there is more after the value")
	}
	return raw, nil
}

// decode reads raw into value. Absent and null leave it as it is.
func decode(pointer string, raw json.RawMessage, value reflect.Value, skip []string) []wharfinger.Problem {
	if bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return nil
	}
	if value.Kind() == reflect.Pointer {
		if value.IsNil() {
			value.Set(reflect.New(value.Type().Elem()))
		}
		return decode(pointer, raw, value.Elem(), skip)
	}
	if own, is := leaf(pointer, raw, value); is {
		return own
	}
	switch value.Kind() {
	case reflect.Struct:
		return object(pointer, raw, value, skip)
	case reflect.Slice:
		return list(pointer, raw, value)
	case reflect.Map:
		return dictionary(pointer, raw, value, skip)
	default:
		return plain(pointer, raw, value)
	}
}

func object(pointer string, raw json.RawMessage, value reflect.Value, skip []string) []wharfinger.Problem {
	entries, problems := members(pointer, raw, skip)
	fields := fieldsOf(value)
	for _, entry := range entries {
		field, known := find(fields, entry.name)
		if !known {
			problems = append(problems, unknown(pointer, entry.name, fields))
			continue
		}
		problems = append(problems, decode(join(pointer, entry.name), entry.raw, field.value, nil)...)
	}
	return problems
}

func unknown(pointer, name string, fields []field) wharfinger.Problem {
	names := make([]string, len(fields))
	for i, field := range fields {
		names[i] = field.name
	}
	return wharfinger.Problemf(join(pointer, name), "is no key that is known: there are %s", strings.Join(names, ", "))
}

func list(pointer string, raw json.RawMessage, value reflect.Value) []wharfinger.Problem {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return mismatch(pointer, err, value)
	}
	var problems []wharfinger.Problem
	value.Set(reflect.MakeSlice(value.Type(), len(items), len(items)))
	for i, item := range items {
		problems = append(problems, decode(fmt.Sprintf("%s/%d", pointer, i), item, value.Index(i), nil)...)
	}
	return problems
}

func dictionary(pointer string, raw json.RawMessage, value reflect.Value, skip []string) []wharfinger.Problem {
	if value.Type().Key().Kind() != reflect.String {
		return plain(pointer, raw, value)
	}
	entries, problems := members(pointer, raw, skip)
	value.Set(reflect.MakeMapWithSize(value.Type(), len(entries)))
	for _, entry := range entries {
		item := reflect.New(value.Type().Elem()).Elem()
		problems = append(problems, decode(join(pointer, entry.name), entry.raw, item, nil)...)
		value.SetMapIndex(reflect.ValueOf(entry.name).Convert(value.Type().Key()), item)
	}
	return problems
}

func plain(pointer string, raw json.RawMessage, value reflect.Value) []wharfinger.Problem {
	if err := json.Unmarshal(raw, value.Addr().Interface()); err != nil {
		return mismatch(pointer, err, value)
	}
	return nil
}

// check asks value and all that is in it, the inner first.
func check(pointer string, value reflect.Value) (problems []wharfinger.Problem) {
	switch value.Kind() {
	case reflect.Pointer, reflect.Interface:
		if value.IsNil() {
			return nil
		}
		if value.Kind() == reflect.Pointer {
			return check(pointer, value.Elem())
		}
	case reflect.Struct:
		for _, field := range fieldsOf(value) {
			problems = append(problems, check(join(pointer, field.name), field.value)...)
		}
	case reflect.Slice:
		for i := range value.Len() {
			problems = append(problems, check(fmt.Sprintf("%s/%d", pointer, i), value.Index(i))...)
		}
	case reflect.Map:
		for _, key := range sortedKeys(value) {
			item := reflect.New(value.Type().Elem()).Elem()
			item.Set(value.MapIndex(key))
			problems = append(problems, check(join(pointer, key.String()), item)...)
		}
	}
	if value.CanAddr() {
		if checker, is := value.Addr().Interface().(wharfinger.Checker); is {
			problems = append(problems, checker.Check(pointer)...)
		}
	}
	return problems
}

// leaf reads what reads itself.
func leaf(pointer string, raw json.RawMessage, value reflect.Value) ([]wharfinger.Problem, bool) {
	switch into := value.Addr().Interface().(type) {
	case *netip.Addr:
		return text(pointer, raw, value, func(said string) (err error) {
			*into, err = address(said)
			return err
		}), true
	case *netip.Prefix:
		return text(pointer, raw, value, func(said string) (err error) {
			*into, err = network(said)
			return err
		}), true
	case json.Unmarshaler:
		return said(pointer, into.UnmarshalJSON(raw)), true
	case interface{ UnmarshalText([]byte) error }:
		return text(pointer, raw, value, func(said string) error {
			return into.UnmarshalText([]byte(said))
		}), true
	}
	return nil, false
}

func text(pointer string, raw json.RawMessage, value reflect.Value, read func(string) error) []wharfinger.Problem {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return mismatch(pointer, err, reflect.ValueOf(text))
	}
	return said(pointer, read(text))
}

func said(pointer string, err error) []wharfinger.Problem {
	if err == nil {
		return nil
	}
	return []wharfinger.Problem{wharfinger.Problemf(pointer, "%v", err)}
}

// Zones, and IPv4 inside IPv6, are not of the contract.
func address(text string) (netip.Addr, error) {
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" || address.Is4In6() {
		return netip.Addr{}, fmt.Errorf("%q is no address: \"10.1.0.7\" and \"fd00::7\" are", text)
	}
	return address, nil
}

func network(text string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(text)
	if err != nil || network.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is no network: \"10.1.0.0/24\" and \"fd00::/64\" are", text)
	}
	return network, nil
}
