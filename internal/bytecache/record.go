package bytecache

import (
	"encoding/binary"
	"time"
)

// Record writes a value field by field, to be read by a [Reader] in the same order. Numbers are
// varints of encoding/binary.
type Record struct {
	Bytes []byte
	texts [maxTexts]string
	known int
}

// maxTexts is how many texts can be written once and referred to afterwards.
const maxTexts = 8

// A text begins with a number: below firstKnown it is one of those that both sides know; below
// firstLength it was there before; else it is new, and follows, so much longer than firstLength.
const (
	firstKnown  = 32
	firstLength = firstKnown + maxTexts
)

// Uint writes a number that is mostly small.
func (r *Record) Uint(n uint64) { r.Bytes = binary.AppendUvarint(r.Bytes, n) }

// Int writes a number that may be negative.
func (r *Record) Int(n int64) { r.Bytes = binary.AppendVarint(r.Bytes, n) }

// Time writes an instant.
func (r *Record) Time(t time.Time) {
	if t.IsZero() {
		r.Uint(0)
		return
	}
	sec := t.Unix()
	r.Uint(uint64(sec<<1^sec>>63) + 1)
	if ns := uint64(t.Nanosecond()); ns%milli == 0 {
		r.Uint(ns / milli << 1)
	} else {
		r.Uint(ns<<1 | 1)
	}
}

// milli is a millisecond, which most instants are whole numbers of.
const milli = uint64(time.Millisecond)

// Refer lets texts that are the same as this one refer to it. The [Reader] must be told the same.
func (r *Record) Refer(text string) {
	if r.known < maxTexts {
		r.texts[r.known] = text
		r.known++
	}
}

// Text writes a text. Of those that are the same, or in common, it is written once. common has no
// more than 32.
func (r *Record) Text(text string, common []string) {
	for i, known := range common {
		if known == text {
			r.Uint(uint64(i))
			return
		}
	}
	for i, known := range r.texts[:r.known] {
		if known == text {
			r.Uint(uint64(firstKnown + i))
			return
		}
	}
	r.Uint(uint64(firstLength + len(text)))
	r.Bytes = append(r.Bytes, text...)
	r.Refer(text)
}

// padding is what lengths are multiples of.
const padding = 8

// Padded is the record with zeros behind it, so that it can grow a little in its place.
func (r *Record) Padded() []byte {
	var zeros [padding]byte
	if over := len(r.Bytes) % padding; over > 0 {
		r.Bytes = append(r.Bytes, zeros[over:]...)
	}
	return r.Bytes
}

// Reader reads what a [Record] wrote. What it returns shares the memory of Left.
type Reader struct {
	Left  string // what is not read yet
	Bad   bool   // it was not written by a Record; what is read from then on is zero
	texts [maxTexts]string
	known int
}

// Uint reads what [Record.Uint] wrote.
func (r *Reader) Uint() uint64 {
	var n uint64
	for i := 0; i < len(r.Left) && i < binary.MaxVarintLen64; i++ {
		b := r.Left[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			r.Left = r.Left[i+1:]
			return n
		}
	}
	r.Bad, r.Left = true, ""
	return 0
}

// Int reads what [Record.Int] wrote.
func (r *Reader) Int() int64 { return signed(r.Uint()) }

func signed(n uint64) int64 { return int64(n>>1) ^ -int64(n&1) }

// Count reads a number of things that take at least a byte each.
func (r *Reader) Count() int {
	n := r.Uint()
	if n > uint64(len(r.Left)) {
		r.Bad, r.Left = true, ""
		return 0
	}
	return int(n)
}

// Time reads what [Record.Time] wrote, in UTC.
func (r *Reader) Time() time.Time {
	sec := r.Uint()
	if sec == 0 {
		return time.Time{}
	}
	ns := r.Uint()
	if ns&1 == 0 {
		ns = ns >> 1 * milli
	} else {
		ns >>= 1
	}
	return time.Unix(signed(sec-1), int64(ns)).UTC()
}

// Refer must be called with the same text as [Record.Refer] was.
func (r *Reader) Refer(text string) {
	if r.known < maxTexts {
		r.texts[r.known] = text
		r.known++
	}
}

// Text reads what [Record.Text] wrote with the same common texts.
func (r *Reader) Text(common []string) string {
	n := r.Uint()
	switch {
	case n < uint64(len(common)):
		return common[n]
	case n >= firstKnown && n < firstKnown+uint64(r.known):
		return r.texts[n-firstKnown]
	case n < firstLength || n-firstLength > uint64(len(r.Left)):
		r.Bad, r.Left = true, ""
		return ""
	}
	text := r.Left[:n-firstLength]
	r.Left = r.Left[n-firstLength:]
	r.Refer(text)
	return text
}

// Raw reads so many bytes.
func (r *Reader) Raw(n int) string {
	if n < 0 || n > len(r.Left) {
		r.Bad, r.Left = true, ""
		return ""
	}
	raw := r.Left[:n]
	r.Left = r.Left[n:]
	return raw
}
