package wharfinger

import (
	"fmt"
	"strings"
)

// Problem is what is wrong with a configuration, and where.
type Problem struct {
	// Pointer is RFC 6901, into the plugin's configuration: "/ranges/0/subnet"; "" is the whole.
	Pointer string
	// Message is one line.
	Message string
}

// Problemf is one at this pointer. A message that quotes what is too long to read is cut.
func Problemf(pointer, format string, args ...any) Problem {
	message := oneLine(fmt.Sprintf(format, args...))
	if most := 500; len(message) > most {
		message = strings.ToValidUTF8(message[:most], "") + "..."
	}
	return Problem{Pointer: pointer, Message: message}
}

// String is "POINTER: MESSAGE".
func (p Problem) String() string {
	if p.Pointer == "" {
		return p.Message
	}
	return p.Pointer + ": " + p.Message
}

// Checker is a type that knows more of what is good than Go's types say. Every value in a
// configuration that is one is asked, the whole last, before anything else of the plugin runs.
type Checker interface {
	// Check returns what is wrong with the value at this pointer; nothing if it is good.
	Check(pointer string) []Problem
}
