package wharfinger

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Reason is what kind of failure it is: it decides what the host tells the runtime.
type Reason int

const (
	// Other is anything else, and what an error has that says nothing of it.
	Other Reason = iota
	// InvalidConfig: the configuration is wrong, and trying again cannot help.
	InvalidConfig
	// Exhausted: every address that the request allows is taken; the host adds the counts.
	Exhausted
	// Conflict: an address asked for by name cannot be had.
	Conflict
	// TryAgain: it might work later.
	TryAgain
)

// String is the reason as the contract names it.
func (r Reason) String() string {
	names := []string{"other", "invalid-config", "exhausted", "conflict", "try-again"}
	if r < 0 || int(r) >= len(names) {
		return fmt.Sprintf("reason %d", int(r))
	}
	return names[r]
}

// Failure is why a plugin could not do what it was asked. Every other error becomes one of reason
// [Other]; one that wraps a Failure keeps its reason and detail.
type Failure struct {
	Reason Reason
	// Message is one line for the operator: what cannot be done, why, what to do.
	Message string
	// Detail is more, over several lines if need be; or empty.
	Detail string
	cause  error
}

// Failf is a failure of this kind. As with [fmt.Errorf], "%w" wraps its cause.
func Failf(reason Reason, format string, args ...any) *Failure {
	said := fmt.Errorf(format, args...)
	failure := &Failure{Reason: reason, Message: oneLine(said.Error()), cause: errors.Unwrap(said)}
	var inner *Failure
	if errors.As(failure.cause, &inner) {
		failure.Detail = inner.Detail
	}
	return failure
}

// WithDetail is the same with more for the operator to read.
func (f *Failure) WithDetail(detail string) *Failure {
	with := *f
	with.Detail = detail
	return &with
}

// Error is the message.
func (f *Failure) Error() string { return f.Message }

// Unwrap is its cause, where there is one.
func (f *Failure) Unwrap() error { return f.cause }

// FailureOf is the failure that the host is told of an error.
func FailureOf(err error) *Failure {
	var failure *Failure
	if !errors.As(err, &failure) {
		return &Failure{Message: oneLine(err.Error()), cause: err}
	}
	return &Failure{
		Reason:  failure.Reason,
		Message: oneLine(err.Error()),
		Detail:  failure.Detail,
		cause:   err,
	}
}

func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
