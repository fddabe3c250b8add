// Package call turns a panic of a plugin into a failure that says where. Start reading at Recovered.
package call

import (
	"fmt"
	"path"
	"runtime"
	"strings"

	"github.com/wharfinger/wharfinger/sdk/go"
)

// Ended is a panic that is the host's end of the call, as a trap is: nothing recovers from it.
type Ended string

func (e Ended) Error() string { return "the host ends this call: " + string(e) }

// Recovered is the failure of a panic: for a deferred function, given what recover returned.
func Recovered(value any) *wharfinger.Failure {
	if ended, is := value.(Ended); is {
		panic(ended)
	}
	stack := thrown()
	if len(stack) == 0 {
		return wharfinger.Failf(wharfinger.Other, "panic: %v", value)
	}
	at := stack[0]
	failure := wharfinger.Failf(wharfinger.Other, "panic: %v (%s, %s:%d)",
		value, at.Function, path.Base(at.File), at.Line)
	var lines strings.Builder
	for _, frame := range stack {
		fmt.Fprintf(&lines, "%s %s:%d\n", frame.Function, frame.File, frame.Line)
	}
	return failure.WithDetail(strings.TrimSuffix(lines.String(), "\n"))
}

// thrown are the frames from where the panic was thrown to the plugin's outermost.
func thrown() (stack []runtime.Frame) {
	counters := make([]uintptr, 64)
	frames := runtime.CallersFrames(counters[:runtime.Callers(2, counters)])
	panicked := false
	for {
		frame, more := frames.Next()
		switch runtimes := strings.HasPrefix(frame.Function, "runtime."); {
		case frame.Function == "runtime.gopanic":
			panicked, stack = true, nil
		case panicked && !runtimes && !ours(frame.Function):
			stack = append(stack, frame)
		}
		if !more {
			return stack
		}
	}
}

// ours are the frames below the plugin: the SDK's way in, of no use to an author.
func ours(function string) bool {
	const sdk = "github.com/wharfinger/wharfinger/sdk/go/"
	return strings.HasPrefix(function, sdk+"internal/") || strings.Contains(function, ".(*Exported).") ||
		strings.HasPrefix(function, sdk+"ipam.register")
}
