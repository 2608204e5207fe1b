package httpapi

import (
	"net/http"
	"strings"
)

// MarkPrivate keeps an answer that depends on the account out of shared caches: it adds
// "Cache-Control: private", unless the app has set Cache-Control itself (RFC 9111, 5.2.2.7).
// The app's Expires still works for the visitor's own browser. A field for one kind of cache
// (CDN-Cache-Control, RFC 9213) stays, and that cache obeys it rather than Cache-Control.
func MarkPrivate(header http.Header) {
	for _, line := range header["Cache-Control"] {
		if strings.TrimSpace(line) != "" {
			return
		}
	}
	header["Cache-Control"] = []string{"private"}
}

// forbidCaches removes the site's caching headers, before our answer sets its own: the fields
// of RFC 9111 and RFC 9213, and those of some CDNs.
func forbidCaches(header http.Header) {
	for _, name := range CacheFields {
		delete(header, name)
	}
}

// CacheFields are the fields of an answer that allow caches to keep it.
var CacheFields = [...]string{"Cache-Control", "Expires", "Cdn-Cache-Control", "Cloudflare-Cdn-Cache-Control", "Surrogate-Control"}
