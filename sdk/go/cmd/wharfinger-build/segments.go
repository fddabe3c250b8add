package main

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// gap is how many zero bytes between two segments are written out rather than left out.
const gap = 1024

// What the binary format calls it.
const (
	data     = 11
	active   = 0
	i32const = 0x41
	end      = 0x0b
)

// joined is the module with its data in few segments. Go's linker leaves out every eight zero bytes,
// which makes tens of thousands: a host copies each by an instruction of its own, so that they cost
// more to compile, to load and to run than what they save.
func joined(module []byte) ([]byte, error) {
	const header = 8
	if len(module) < header {
		return nil, errors.New("it is no module")
	}
	made := append([]byte(nil), module[:header]...)
	for rest := (reader{bytes: module[header:]}); len(rest.bytes) > 0; {
		id, body := rest.byte(), rest.sized()
		if rest.err != nil {
			return nil, rest.err
		}
		if id == data {
			segments, err := parseData(body)
			if err != nil {
				return nil, fmt.Errorf("data: %w", err)
			}
			body = encodeData(join(segments))
		}
		made = binary.AppendUvarint(append(made, id), uint64(len(body)))
		made = append(made, body...)
	}
	return made, nil
}

// segment is bytes at an address.
type segment struct {
	at    int64
	bytes []byte
}

// join joins what stands close by, in the order in which they stand.
func join(segments []segment) (few []segment) {
	for _, next := range segments {
		if len(few) > 0 {
			last := &few[len(few)-1]
			between := next.at - last.at - int64(len(last.bytes))
			if between >= 0 && between <= gap {
				last.bytes = append(last.bytes, make([]byte, between)...)
				last.bytes = append(last.bytes, next.bytes...)
				continue
			}
		}
		few = append(few, segment{at: next.at, bytes: append([]byte(nil), next.bytes...)})
	}
	return few
}

// parseData reads active segments of the first memory, which are all that Go's linker writes.
func parseData(body []byte) (segments []segment, err error) {
	in := reader{bytes: body}
	for range in.number() {
		kind, constant := in.number(), in.byte()
		at := in.signed()
		if finish := in.byte(); kind != active || constant != i32const || finish != end {
			return nil, errors.New("a segment is not active, or has no constant address")
		}
		segments = append(segments, segment{at: at, bytes: in.sized()})
	}
	return segments, in.err
}

func encodeData(segments []segment) []byte {
	body := binary.AppendUvarint(nil, uint64(len(segments)))
	for _, one := range segments {
		body = appendSigned(append(body, active, i32const), one.at)
		body = binary.AppendUvarint(append(body, end), uint64(len(one.bytes)))
		body = append(body, one.bytes...)
	}
	return body
}

// reader reads the binary format. After an error it reads nothing but zeros.
type reader struct {
	bytes []byte
	err   error
}

func (r *reader) take(count uint64) []byte {
	if count > uint64(len(r.bytes)) {
		r.bytes, r.err = nil, errors.New("it ends too early")
		return nil
	}
	taken := r.bytes[:count]
	r.bytes = r.bytes[count:]
	return taken
}

func (r *reader) byte() byte {
	if taken := r.take(1); taken != nil {
		return taken[0]
	}
	return 0
}

// number is an unsigned LEB128.
func (r *reader) number() uint64 {
	number, size := binary.Uvarint(r.bytes)
	r.take(uint64(max(size, 1)))
	return number
}

// signed is a signed LEB128.
func (r *reader) signed() (number int64) {
	for shift := 0; shift < 64; {
		next := r.byte()
		number |= int64(next&0x7f) << shift
		shift += 7
		if next&0x80 == 0 {
			if next&0x40 != 0 && shift < 64 {
				number |= -1 << shift
			}
			return number
		}
	}
	return number
}

func (r *reader) sized() []byte { return r.take(r.number()) }

func appendSigned(to []byte, number int64) []byte {
	for {
		next := byte(number & 0x7f)
		number >>= 7
		if number == 0 && next&0x40 == 0 || number == -1 && next&0x40 != 0 {
			return append(to, next)
		}
		to = append(to, next|0x80)
	}
}
