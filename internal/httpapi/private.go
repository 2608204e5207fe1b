package httpapi

import (
	"net/http"
	"strings"
)

// MarkPrivate keeps an answer that depends on the account out of shared caches: it adds
// "Cache-Control: private", unless the app says itself how its answer may be kept
// (RFC 9111, 5.2.2.7). The app's Expires keeps its meaning for the visitor's own browser,
// and a field for one kind of cache (CDN-Cache-Control, RFC 9213) is the app's word to
// that cache, which follows it and not this one.
func MarkPrivate(header http.Header) {
	for _, line := range header["Cache-Control"] {
		if strings.TrimSpace(line) != "" {
			return
		}
	}
	header["Cache-Control"] = []string{"private"}
}

// forbidCaches removes what the site says about the caching of its pages, before an
// answer of ours says it for itself: the fields of RFC 9111 and RFC 9213, and those of
// single CDNs.
func forbidCaches(header http.Header) {
	for _, name := range CacheFields {
		delete(header, name)
	}
}

// CacheFields are the fields of an answer that tell caches to keep it.
var CacheFields = [...]string{"Cache-Control", "Expires", "Cdn-Cache-Control", "Cloudflare-Cdn-Cache-Control", "Surrogate-Control"}
