package httpapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// preference is the kind of answer that a client prefers.
type preference int

const (
	wantsJSON preference = iota - 1
	wantsEither
	wantsHTML
)

// varyByAccept tells caches that the answer depends on the Accept header.
func varyByAccept(h http.Header) {
	if !slices.Contains(h.Values("Vary"), "Accept") {
		h.Add("Vary", "Accept")
	}
}

// maxAcceptBytes is how much of an Accept header is read. Browsers send about 200 bytes. Each
// comma costs as much as a media range: 15 KiB of commas took 2 ms.
const maxAcceptBytes = 2 << 10

// wants reads the Accept header (RFC 9110, 12.5.1). A client that sends none, or that accepts
// everything equally, has no preference.
func wants(r *http.Request) preference {
	lines := r.Header["Accept"]
	if len(lines) == 0 {
		return wantsEither
	}
	accept := strings.Join(lines, ",")
	accept = accept[:min(len(accept), maxAcceptBytes)]
	html := quality(accept, "text/html")
	json := max(quality(accept, "application/json"), quality(accept, "application/problem+json"))
	switch {
	case html > json:
		return wantsHTML
	case json > html:
		return wantsJSON
	default:
		return wantsEither
	}
}

// quality is the weight of a media type, from 0 to 1, by the most specific range that covers
// it.
func quality(accept, mediaType string) float64 {
	kind, _, _ := strings.Cut(mediaType, "/")
	best, q := 0, 0.0
	for entry := range strings.SplitSeq(accept, ",") {
		name, parameters, _ := strings.Cut(entry, ";")
		specific := 0
		switch strings.ToLower(strings.TrimSpace(name)) {
		case mediaType:
			specific = 3
		case kind + "/*":
			specific = 2
		case "*/*":
			specific = 1
		}
		if specific > best {
			best, q = specific, weight(parameters)
		}
	}
	return q
}

// weight is the q among a range's parameters; 1 if there is none, 0 if it is invalid.
func weight(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(p, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return q
	}
	return 1
}
