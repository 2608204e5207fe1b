package identity

import (
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/dodogate/dodogate/internal/gateway"
)

// Path leads to a member of a JSON object: the names of the objects on the way, and then its
// own.
type Path []string

// ParsePath reads a path as written in a config: `user.id` is the member id of the object
// user. A part with a colon or a slash is one name, dots included, because many issuers use
// addresses as names of claims. Several parts form one path.
func ParsePath(parts ...string) Path {
	var path Path
	for _, part := range parts {
		if strings.ContainsAny(part, ":/") {
			path = append(path, part)
			continue
		}
		path = append(path, strings.Split(part, ".")...)
	}
	return path
}

// Paths say where an identity is found. Empty ones are not read.
type Paths struct {
	Account, Email, EmailVerified, Name Path
}

// object is a JSON object. Repeated names were refused at any depth.
type object map[string]jsontext.Value

// parseObject reads JSON that must be one object.
func parseObject(text []byte) (object, bool) {
	var o object
	if err := json.Unmarshal(text, &o); err != nil || o == nil {
		return nil, false
	}
	return o, true
}

// lookup is the value at a path; nil if it is missing or null.
func (o object) lookup(path Path) jsontext.Value {
	if len(path) == 0 {
		return nil
	}
	for _, name := range path[:len(path)-1] {
		next, ok := parseObject(o[name])
		if !ok {
			return nil
		}
		o = next
	}
	value := o[path[len(path)-1]]
	if value.Kind() == 'n' {
		return nil
	}
	return value
}

// text is the content of a string value.
func text(value jsontext.Value) (string, bool) {
	var s string
	if value.Kind() != '"' || json.Unmarshal(value, &s) != nil {
		return "", false
	}
	return s, true
}

// Longer values are left out: they only fill in a checkout.
const (
	maxEmail = 320
	maxName  = 256
)

// readDetails reads e-mail address and name.
func (o object) readDetails(paths Paths, who *gateway.Identity) {
	if email, ok := text(o.lookup(paths.Email)); ok && len(email) <= maxEmail {
		who.Email = email
	}
	if name, ok := text(o.lookup(paths.Name)); ok && len(name) <= maxName {
		who.Name = name
	}
	who.EmailVerified = who.Email != "" && isTrue(o.lookup(paths.EmailVerified))
}

// isTrue also accepts the string "true", which some issuers write.
func isTrue(value jsontext.Value) bool {
	s, isText := text(value)
	return value.Kind() == 't' || isText && s == "true"
}

// date is a date of a token (RFC 7519, 2). found reports that the claim is present, ok that it
// is valid or absent.
func (o object) date(name string) (at time.Time, found, ok bool) {
	value := o.lookup(Path{name})
	if value == nil {
		return time.Time{}, false, true
	}
	var n float64
	const limit = 1 << 40 // seconds; later than any real date
	if value.Kind() != '0' || json.Unmarshal(value, &n) != nil || n < 0 || n > limit {
		return time.Time{}, true, false
	}
	whole := int64(n)
	return time.Unix(whole, int64((n-float64(whole))*1e9)), true, true
}

// stringList is a claim that is one string or a list of strings.
func (o object) stringList(name string) []string {
	value := o.lookup(Path{name})
	if one, ok := text(value); ok {
		return []string{one}
	}
	var list []string
	if value.Kind() != '[' || json.Unmarshal(value, &list) != nil {
		return nil
	}
	return list
}

// check checks the claims of a genuine token, and returns when it expires.
func (t *tokenRules) check(o object, now time.Time) (until time.Time, err error) {
	expires, found, ok := o.date("exp")
	if !found || !ok {
		return until, refusedCredentials("token without a valid exp")
	}
	until = expires.Add(t.leeway)
	if !now.Before(until) {
		return until, refusedCredentials("token has expired")
	}
	starts, _, ok := o.date("nbf")
	if !ok || now.Before(starts.Add(-t.leeway)) {
		return until, refusedCredentials("token is not valid yet")
	}
	if issuer, _ := text(o.lookup(Path{"iss"})); len(t.issuers) > 0 && !slices.Contains(t.issuers, issuer) {
		return until, refusedCredentials("token of another issuer")
	}
	isOurs := func(audience string) bool { return slices.Contains(t.audiences, audience) }
	if len(t.audiences) > 0 && !slices.ContainsFunc(o.stringList("aud"), isOurs) {
		return until, refusedCredentials("token for another audience")
	}
	return until, nil
}

// identity is the identity in the claims. The account must be a string.
func (t *tokenRules) identity(o object) (gateway.Identity, error) {
	account, ok := text(o.lookup(t.paths.Account))
	if !ok || account == "" || len(account) > gateway.MaxAccount {
		return gateway.Identity{}, refusedCredentials("the account claim is not a string of 1 to 256 bytes")
	}
	who := gateway.Identity{Account: account}
	o.readDetails(t.paths, &who)
	return who, nil
}
