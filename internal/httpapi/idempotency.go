package httpapi

import (
	"net/http"
	"strings"
)

// maxKey is the longest idempotency key, in bytes.
const maxKey = 255

// IdempotencyKey reads the Idempotency-Key header; "" if there is none. The draft standard
// requires quotes, most clients send none, and both forms name the same key (RELIABILITY 2.1).
func IdempotencyKey(h http.Header) (string, error) {
	values := h.Values("Idempotency-Key")
	switch len(values) {
	case 0:
		return "", nil
	case 1:
	default:
		return "", refuse(errKey, "Idempotency-Key appears more than once.")
	}
	key, ok := bareKey(values[0]), true
	if strings.HasPrefix(values[0], `"`) {
		key, ok = quotedKey(values[0])
	}
	if !ok || len(key) == 0 || len(key) > maxKey {
		return "", errKey
	}
	return key, nil
}

// bareKey is an unquoted value, or "" if it is invalid. A comma, a semicolon, a quote or a
// backslash would make it a list, parameters or a broken string.
func bareKey(value string) string {
	if !visible(value) || strings.ContainsAny(value, `,;"\`) {
		return ""
	}
	return value
}

// quotedKey is the content of a structured-field string (RFC 9651, 4.2.5) without parameters.
func quotedKey(value string) (string, bool) {
	if len(value) < 2 || !strings.HasSuffix(value, `"`) {
		return "", false
	}
	var key strings.Builder
	inner := value[1 : len(value)-1]
	for i := 0; i < len(inner); i++ {
		c := inner[i]
		switch c {
		case '"':
			return "", false
		case '\\':
			i++
			if i == len(inner) || inner[i] != '"' && inner[i] != '\\' {
				return "", false
			}
			c = inner[i]
		}
		key.WriteByte(c)
	}
	return key.String(), visible(key.String())
}

// visible reports whether s consists of visible ASCII.
func visible(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
}
