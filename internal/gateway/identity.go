package gateway

import "errors"

// MaxAccount is the longest account id, in bytes.
const MaxAccount = 256

// ErrAccount says that a login gave an id that cannot name an account.
var ErrAccount = errors.New("account id is longer than 256 bytes")

// ErrCredentials says that a request has credentials, and that they are nobody's: a token
// that has expired, for one. Without need of an account it is an anonymous request.
var ErrCredentials = errors.New("credentials are not valid")

// ErrLoginUnavailable says that nobody can tell whose credentials these are now. A
// request that needs an account must not be taken for an anonymous one then.
var ErrLoginUnavailable = errors.New("login cannot be asked")

// Identity is who makes a request, as the site's login says. The zero value is
// an anonymous visitor.
type Identity struct {
	Account       string // opaque, at most [MaxAccount] bytes; empty: anonymous
	Email         string // as the login knows it; may be empty
	EmailVerified bool   // the login vouches for Email
	Name          string
}
