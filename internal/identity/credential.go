package identity

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/dodogate/dodogate/internal/gateway"
)

// maxCredential is the most bytes of credentials that are looked at. A browser keeps no
// cookie of more than 4 KiB, and few servers take a header of more than 8 KiB.
const maxCredential = 16 << 10

// refused is an error for credentials that are there and not to be believed. why names no
// part of them.
func refused(why string) error { return fmt.Errorf("%w: %s", gateway.ErrCredentials, why) }

// blanks may stand around the parts of a header (RFC 9110, 5.6.3).
const blanks = " \t"

// bearer is the token of an Authorization header (RFC 6750, 2.1). A request with another
// scheme brings none.
func bearer(header http.Header) (token string, err error) {
	lines := header["Authorization"]
	if len(lines) == 0 {
		return "", nil
	}
	// Apps and proxies accept other blanks than the one space of the RFC. A line that one of
	// them takes for a token must not leave the decision to the cookie here.
	line := strings.Trim(lines[0], blanks)
	scheme, rest := line, ""
	if i := strings.IndexAny(line, blanks); i >= 0 {
		scheme, rest = line[:i], line[i:]
	}
	if strings.EqualFold(scheme, "Bearer") {
		if token = strings.Trim(rest, blanks); token == "" {
			return "", refused("bearer without a token")
		}
	}
	if len(lines) > 1 {
		return "", refused("several Authorization lines")
	}
	return token, nil
}

// cookie is the value of a cookie. Two of one name are refused, because the app may read
// the other one.
func cookie(header http.Header, name string) (value string, err error) {
	found := false
	for _, line := range header["Cookie"] {
		for part := range strings.SplitSeq(line, ";") {
			key, text, ok := strings.Cut(part, "=")
			if !ok || strings.Trim(key, blanks) != name { // as most servers trim names
				continue
			}
			if found {
				return "", refused("several cookies of the name")
			}
			found, value = true, strings.Trim(strings.Trim(text, blanks), `"`)
		}
	}
	return value, nil
}

// cookies are the pairs of a Cookie header whose names are wanted, in their order, as one
// header value. A name that ends with a star stands for all names that begin like this.
// Without names all pairs are wanted.
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
			part = strings.Trim(part, blanks)
			key, _, ok := strings.Cut(part, "=")
			if ok && isWanted(strings.TrimRight(key, blanks), names) {
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
