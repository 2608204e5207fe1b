package caddymodule

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// wordsOfApps are first segments of addresses at which an app is, and not its payment
// routes: as a base path, such a word was meant for a matcher.
var wordsOfApps = []string{
	"admin", "api", "app", "assets", "chat", "dashboard", "docs", "download", "downloads", "files", "generate", "graphql", "media", "members",
	"paid", "premium", "private", "pro", "static", "v1", "v2", "videos", "ws",
}

// checkBasePath finds at adapt time what is most often wrong with a base path.
func checkBasePath(p string) error {
	if !strings.HasPrefix(p, "/") || p == "/" || path.Clean(p) != p || strings.ContainsAny(p, "*{") {
		return fmt.Errorf("the base path must be like /payments: it begins with a slash, is not the whole site, and is clean; '%s' is none. dodo_gateway takes no matcher, because it must see every request", p)
	}
	if slices.Contains(wordsOfApps, strings.ToLower(p[1:])) {
		return fmt.Errorf("dodo_gateway takes no matcher, because it must see every request: %s would be the base path of the payment routes, and every other address below it a 404; leave it out, or write %s/payments", p, p)
	}
	return nil
}
