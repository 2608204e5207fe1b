package caddymodule

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

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

// removeField removes what is in a header and what is to be its trailer, however a
// handler spelled the name, and returns the values.
func removeField(header http.Header, name string) (values []string) {
	for key, of := range header {
		if len(key) >= len(name) && strings.EqualFold(strings.TrimPrefix(key, http.TrailerPrefix), name) {
			values = append(values, of...)
			delete(header, key)
		}
	}
	return values
}
