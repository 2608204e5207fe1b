package caddymodule

import (
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// price reads what the app says in the values of the price header.
func (h *Charge) price(values []string) int64 {
	if len(values) == 1 {
		text := strings.TrimSpace(values[0])
		isDigits := text != "" && !strings.ContainsFunc(text, func(c rune) bool { return c < '0' || c > '9' })
		n, err := strconv.ParseInt(text, 10, 64)
		switch {
		case isDigits && err == nil:
			if n > h.Max {
				h.logger.Warn("the app asks a higher price than max allows, which is charged instead", "price", n, "max", h.Max)
			}
			return min(n, h.Max)
		case isDigits: // more than 2^63
			h.logger.Warn("the app asks a higher price than max allows, which is charged instead", "max", h.Max)
			return h.Max
		}
	}
	h.logger.Warn("the app's price cannot be read, the usual one is charged", "header", h.PriceHeader, "values", len(values))
	return h.Credits
}

// declares reports whether a trailer is announced, and takes it off the list.
func declares(header http.Header, name string) bool {
	found := false
	var rest []string
	for _, line := range header["Trailer"] {
		for _, token := range strings.Split(line, ",") {
			token = textproto.TrimString(token)
			if textproto.CanonicalMIMEHeaderKey(token) == name {
				found = true
			} else if token != "" {
				rest = append(rest, token)
			}
		}
	}
	if !found {
		return false
	}
	if header.Del("Trailer"); len(rest) > 0 {
		header["Trailer"] = slices.Clip(rest)
	}
	return true
}
