package wharfinger

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
)

func TestAnErrorIsAFailureOfItsReason(t *testing.T) {
	_, cause := strconv.Atoi("x\ny")
	failure := FailureOf(fmt.Errorf("read it: %w", cause))
	if failure.Reason != Other || failure.Message != `read it: strconv.Atoi: parsing "x\ny": invalid syntax` {
		t.Error(failure.Reason, failure.Message)
	}
	inner := Failf(TryAgain, "one\ntwo").WithDetail("more")
	failure = FailureOf(fmt.Errorf("zone: %w", inner))
	if failure.Reason != TryAgain || failure.Message != "zone: one two" || failure.Detail != "more" {
		t.Errorf("%+v", failure)
	}
	outer := Failf(Conflict, "pool: %w", inner)
	if !errors.Is(outer, inner) || outer.Reason != Conflict || outer.Detail != "more" {
		t.Errorf("%+v", outer)
	}
}
