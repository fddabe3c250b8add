package main

import (
	"bytes"
	"testing"
)

func module(segments []segment) []byte {
	body := encodeData(segments)
	made := []byte("\x00asm\x01\x00\x00\x00\x05\x03\x01\x00\x01\x0b")
	made = append(made, byte(len(body)))
	return append(append(made, body...), "\x00\x02\x01x"...)
}

func TestSegmentsThatStandCloseByAreOne(t *testing.T) {
	apart := []segment{{16, []byte("ab")}, {20, []byte("c")}, {1 << 20, []byte("d")}, {-8, []byte("e")}}
	few := []segment{{16, []byte("ab\x00\x00c")}, {1 << 20, []byte("d")}, {-8, []byte("e")}}
	got, err := joined(module(apart))
	if err != nil || !bytes.Equal(got, module(few)) {
		t.Errorf("%v %x, and not %x", err, got, module(few))
	}
}

func TestAddressesAreReadAsTheyWereWritten(t *testing.T) {
	for _, number := range []int64{0, 1, 63, 64, -1, -64, -65, 1<<31 - 1, -1 << 31} {
		in := reader{bytes: appendSigned(nil, number)}
		if got := in.signed(); got != number || in.err != nil || len(in.bytes) > 0 {
			t.Errorf("%d: %d %v", number, got, in.err)
		}
	}
}

func TestWhatIsNoModuleIsRefused(t *testing.T) {
	whole := module([]segment{{16, []byte("ab")}})
	for size := range whole {
		// Between sections a module may end.
		if _, err := joined(whole[:size]); err == nil && size != 8 && size != 13 && size != len(whole)-4 {
			t.Errorf("%d bytes are a module", size)
		}
	}
	passive := []byte("\x00asm\x01\x00\x00\x00\x0b\x04\x01\x01\x01x")
	if _, err := joined(passive); err == nil {
		t.Error("a passive segment is active")
	}
}
