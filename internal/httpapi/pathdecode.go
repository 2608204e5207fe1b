package httpapi

import "strings"

// decodeAll undoes one layer of percent-encoding.
func decodeAll(p string) string { return decode(p, "", true) }

// decodeBytes is for servers that keep bytes that are not valid UTF-8.
func decodeBytes(p string) string {
	for _, lead := range []string{"%c0", "%c1", "%e0", "%f0"} {
		if strings.Contains(p, lead) {
			return decode(p, "", false)
		}
	}
	return p // the same as decodeAll
}

// decodeButSlashes is for servers that distinguish an encoded slash from a plain one.
func decodeButSlashes(p string) string {
	for _, kept := range []string{"%2f", "%5c", "%25"} {
		if strings.Contains(p, kept) {
			return decode(p, `/\%`, true)
		}
	}
	return p // the same as decodeAll
}

func decode(p, except string, overlong bool) string {
	out := make([]byte, 0, len(p))
	for i := 0; i < len(p); i++ {
		if p[i] != '%' {
			out = append(out, p[i])
			continue
		}
		c, ok := escape(p[i:])
		if !ok || strings.IndexByte(except, c) >= 0 {
			out = append(out, p[i])
			continue
		}
		length := escapeLength
		if overlong && c >= 0xc0 {
			if ascii, n := overlongASCII(p[i:]); n > 0 {
				c, length = ascii, n
			}
		}
		i += length - 1
		out = append(out, c)
	}
	return string(out)
}

const escapeLength = len("%2f")

// escape decodes the percent-encoded byte at the beginning of p; false if there is none.
func escape(p string) (byte, bool) {
	if len(p) < escapeLength || p[0] != '%' {
		return 0, false
	}
	high, low := hexValue[p[1]], hexValue[p[2]]
	return high<<4 | low&0xf, high < 16 && low < 16
}

// hexValue is 0xff for a byte that is no hexadecimal digit.
var hexValue = func() (of [256]byte) {
	for c := range of {
		of[c] = 0xff
	}
	for i, c := range "0123456789abcdef" {
		of[c] = byte(i)
	}
	for i, c := range "ABCDEF" {
		of[c] = byte(i) + 10
	}
	return of
}()

// overlongASCII decodes an ASCII character that is encoded in two to four bytes, which old
// UTF-8 decoders accept. length is the length of its escapes; 0 if there is none.
func overlongASCII(p string) (c byte, length int) {
	lead, _ := escape(p)
	var bytes int
	switch {
	case lead&0xfe == 0xc0:
		bytes = 2
	case lead == 0xe0:
		bytes = 3
	case lead == 0xf0:
		bytes = 4
	default:
		return 0, 0
	}
	value := int(lead & 0x1 << 6)
	if bytes > 2 {
		value = 0
	}
	for i := 1; i < bytes; i++ {
		if len(p) < (i+1)*escapeLength {
			return 0, 0
		}
		next, ok := escape(p[i*escapeLength:])
		if !ok || next&0xc0 != 0x80 {
			return 0, 0
		}
		if bytes == 2 {
			value |= int(next & 0x3f)
		} else {
			value = value<<6 | int(next&0x3f)
		}
	}
	if value >= 0x80 {
		return 0, 0
	}
	return byte(value), bytes * escapeLength
}
