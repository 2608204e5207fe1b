package identity

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/dodogate/dodogate/internal/gateway"
)

// maxCredential bounds the bytes of credentials that are read. A browser keeps no cookie
// larger than 4 KiB, and few servers accept a header of more than 8 KiB.
const maxCredential = 16 << 10

// refusedCredentials is an error for invalid credentials. reason contains no part of them.
func refusedCredentials(reason string) error {
	return fmt.Errorf("%w: %s", gateway.ErrCredentials, reason)
}

// whitespace may surround the parts of a header (RFC 9110, 5.6.3).
const whitespace = " \t"

// bearer is the token of an Authorization header (RFC 6750, 2.1); empty for another scheme.
func bearer(header http.Header) (token string, err error) {
	lines := header["Authorization"]
	if len(lines) == 0 {
		return "", nil
	}
	// The RFC has one space, but apps and proxies accept other whitespace. If they read a
	// token from this line, the cookie must not decide here.
	line := strings.Trim(lines[0], whitespace)
	scheme, rest := line, ""
	if i := strings.IndexAny(line, whitespace); i >= 0 {
		scheme, rest = line[:i], line[i:]
	}
	if strings.EqualFold(scheme, "Bearer") {
		if token = strings.Trim(rest, whitespace); token == "" {
			return "", refusedCredentials("bearer without a token")
		}
	}
	if len(lines) > 1 {
		return "", refusedCredentials("several Authorization lines")
	}
	return token, nil
}

// cookie is the value of a cookie. It refuses two cookies with the same name, because the app
// may read the other one.
func cookie(header http.Header, name string) (value string, err error) {
	found := false
	for _, line := range header["Cookie"] {
		for part := range strings.SplitSeq(line, ";") {
			key, text, ok := strings.Cut(part, "=")
			if !ok || strings.Trim(key, whitespace) != name { // most servers trim names
				continue
			}
			if found {
				return "", refusedCredentials("several cookies of the name")
			}
			found, value = true, strings.Trim(strings.Trim(text, whitespace), `"`)
		}
	}
	return value, nil
}

// cookies are the pairs of a Cookie header with the wanted names, in their order, as one
// header value. A name that ends with a star stands for all names with that prefix. Without
// names all pairs are wanted.
func cookies(header http.Header, names []string) string {
	lines := header["Cookie"]
	if len(names) == 0 {
		if len(lines) == 1 {
			return lines[0]
		}
		return strings.Join(lines, "; ")
	}
	var kept []string
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			part = strings.Trim(part, whitespace)
			key, _, ok := strings.Cut(part, "=")
			if ok && isWanted(strings.TrimRight(key, whitespace), names) {
				kept = append(kept, part)
			}
		}
	}
	return strings.Join(kept, "; ")
}

func isWanted(key string, names []string) bool {
	for _, name := range names {
		if prefix, star := strings.CutSuffix(name, "*"); key == name || star && strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}
