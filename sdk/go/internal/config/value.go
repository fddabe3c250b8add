package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/wharfinger/wharfinger/sdk/go"
)

// join is the pointer of a member.
func join(pointer, name string) string {
	return pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// member is one of a JSON object, in the order in which they stand.
type member struct {
	name string
	raw  json.RawMessage
}

// members are those of an object, less the skipped ones.
func members(pointer string, raw json.RawMessage, skip []string) ([]member, []wharfinger.Problem) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		problem := wharfinger.Problemf(pointer, "is %s, where an object is expected", kindOf(raw))
		return nil, []wharfinger.Problem{problem}
	}
	var all []member
	for decoder.More() {
		name, err := decoder.Token()
		var value json.RawMessage
		if err == nil {
			err = decoder.Decode(&value)
		}
		if err != nil {
			return nil, []wharfinger.Problem{wharfinger.Problemf(pointer, "not JSON: %v", err)}
		}
		if key := name.(string); !slices.Contains(skip, key) {
			all = append(all, member{name: key, raw: value})
		}
	}
	return all, nil
}

// field is one that encoding/json would fill.
type field struct {
	name  string
	value reflect.Value
}

func find(fields []field, name string) (field, bool) {
	at := slices.IndexFunc(fields, func(field field) bool { return field.name == name })
	if at < 0 {
		return field{}, false
	}
	return fields[at], true
}

// fieldsOf are those of a struct, and of the structs that it embeds.
func fieldsOf(value reflect.Value) (fields []field) {
	for i := range value.NumField() {
		of := value.Type().Field(i)
		name, _, _ := strings.Cut(of.Tag.Get("json"), ",")
		switch {
		case name == "-" || !of.IsExported():
		case of.Anonymous && name == "" && of.Type.Kind() == reflect.Struct:
			fields = append(fields, fieldsOf(value.Field(i))...)
		case name == "":
			fields = append(fields, field{name: of.Name, value: value.Field(i)})
		default:
			fields = append(fields, field{name: name, value: value.Field(i)})
		}
	}
	return fields
}

func sortedKeys(value reflect.Value) []reflect.Value {
	keys := value.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

// mismatch says what stands there, and what should.
func mismatch(pointer string, err error, value reflect.Value) []wharfinger.Problem {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return said(pointer, err)
	}
	return said(pointer, fmt.Errorf("is %s, where %s is expected", found(wrong.Value), expected(value.Type())))
}

// found is what encoding/json met: "string", "number 7".
func found(value string) string {
	switch kind, rest, _ := strings.Cut(value, " "); kind {
	case "number":
		if rest == "" {
			return "a number"
		}
		return "the number " + rest
	case "array":
		return "a list"
	case "object":
		return "an object"
	case "bool":
		return "true or false"
	default:
		return "text"
	}
}

func kindOf(raw json.RawMessage) string {
	switch first := bytes.TrimSpace(raw); {
	case len(first) == 0:
		return "nothing"
	case first[0] == '{':
		return "an object"
	case first[0] == '[':
		return "a list"
	case first[0] == '"':
		return "text"
	case first[0] == 't' || first[0] == 'f':
		return "true or false"
	default:
		return "a number"
	}
}

func expected(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("a whole number from 0 to %d", uint64(1)<<(t.Bits()-1)-1+uint64(1)<<(t.Bits()-1))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	default:
		return "something else"
	}
}
