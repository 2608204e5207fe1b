// Package httpclient has the HTTP client of tests. A server that never answers fails the test
// that asked it, and does not hang the whole run.
package httpclient

import (
	"net/http"
	"time"
)

// Timeout is how long a request of a test may take, with the body of its answer. Nothing waits
// for it unless something is broken, so it is long enough for a busy machine.
const Timeout = 30 * time.Second

// Default takes the place of [http.DefaultClient].
var Default = &http.Client{Timeout: Timeout}
