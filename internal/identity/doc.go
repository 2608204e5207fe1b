// Package identity finds out who makes a request, from the credentials that come with it:
// a signed token ([JWT]), or a cookie or token that the app itself is asked about ([Ask]).
// It knows net/http and no Caddy. What other parts of a server already know of a login is
// read by whoever hosts this package, as a third [Source].
//
//	request ─ credential.go: what it brings ─ memory.go: judged before?
//	        ─ jwt.go, claims.go, keys.go, jwks.go: is the token genuine, and whose is it?
//	        ─ ask.go, answer.go: whom does the app see?
//
// Nothing here reads a body or a query, and no error or log line has a credential in it.
package identity

import (
	"net/http"

	"github.com/dodogate/dodogate/internal/gateway"
)

// Source says who makes a request. It may be used by many goroutines at once.
type Source interface {
	// Identify returns the zero Identity for a request without credentials. Its errors
	// are [gateway.ErrCredentials], if there are credentials that nobody has to believe,
	// [gateway.ErrLoginUnavailable], if nobody can say what they are worth now, and
	// [gateway.ErrAccount] for a login that gives an id which names no account.
	//
	// whole asks for the e-mail address and the name too; without it a source may leave
	// them out.
	Identify(r *http.Request, whole bool) (gateway.Identity, error)
}

// Result is how a question about credentials ended, for counters.
type Result string

// The results. Requests without credentials are not counted.
const (
	Remembered  Result = "remembered"  // judged before
	Verified    Result = "verified"    // judged now, and genuine
	Refused     Result = "refused"     // judged now, and nobody's
	Unavailable Result = "unavailable" // could not be judged
)

// Results are all results.
var Results = []Result{Remembered, Verified, Refused, Unavailable}
