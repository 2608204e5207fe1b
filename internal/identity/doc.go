// Package identity finds out who makes a request, from the credentials in it: a signed token
// ([JWT]), or a cookie or token about which the app itself is asked ([Ask]). It imports
// net/http, but not Caddy. A login that other parts of the server have already checked is a
// third [Source], which the host of this package implements.
//
//	request ─ credential.go: read the credentials ─ verdicts.go: checked before?
//	        ─ jwt.go, claims.go, keys.go, jwks.go: is the token genuine, and whose is it?
//	        ─ ask.go, answer.go: whom does the app see?
//
// This package reads no body and no query, and no error or log line contains a credential.
package identity

import (
	"net/http"

	"github.com/dodogate/dodogate/internal/gateway"
)

// Source says who makes a request. It is safe for concurrent use.
type Source interface {
	// Identify returns the zero Identity for a request without credentials. Its errors are
	// [gateway.ErrCredentials] for invalid credentials, [gateway.ErrLoginUnavailable] if they
	// cannot be checked now, and [gateway.ErrAccount] if the login gives an id that cannot be
	// an account.
	//
	// whole asks for the e-mail address and the name too; without it a source may leave them
	// out.
	Identify(r *http.Request, whole bool) (gateway.Identity, error)
}

// Result is the outcome of a check of credentials, for counters.
type Result string

// The results. Requests without credentials are not counted.
const (
	Remembered  Result = "remembered"  // reused an earlier check
	Verified    Result = "verified"    // checked, and genuine
	Refused     Result = "refused"     // checked, and invalid
	Unavailable Result = "unavailable" // could not be checked
)

// Results are all results.
var Results = []Result{Remembered, Verified, Refused, Unavailable}
