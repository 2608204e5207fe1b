package identity

import (
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/dodogate/dodogate/internal/gateway"
)

// Path leads to a member of a JSON object: one name for each object on the way.
type Path []string

// ParsePath reads a path as it is written in a config: `user.id` is the member id of the
// object user. A part with a colon or a slash in it is one name, dots and all, because
// many issuers name their claims by addresses. Each of several parts leads one object
// deeper.
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

// Paths say where an identity is found. An empty one is not looked for.
type Paths struct {
	Account, Email, EmailVerified, Name Path
}

// object is a JSON object. Names that are there twice were refused, at any depth.
type object map[string]jsontext.Value

// parseObject reads JSON that must be one object.
func parseObject(text []byte) (object, bool) {
	var o object
	if err := json.Unmarshal(text, &o); err != nil || o == nil {
		return nil, false
	}
	return o, true
}

// at is the value at a path, nil for none. null is none.
func (o object) at(path Path) jsontext.Value {
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

// text is a value that is a string.
func text(value jsontext.Value) (string, bool) {
	var s string
	if value.Kind() != '"' || json.Unmarshal(value, &s) != nil {
		return "", false
	}
	return s, true
}

// Texts that only fill in a checkout are left out beyond these lengths.
const (
	maxEmail = 320
	maxName  = 256
)

// details reads what else is known of the account.
func (o object) details(paths Paths, who *gateway.Identity) {
	if email, ok := text(o.at(paths.Email)); ok && len(email) <= maxEmail {
		who.Email = email
	}
	if name, ok := text(o.at(paths.Name)); ok && len(name) <= maxName {
		who.Name = name
	}
	who.EmailVerified = who.Email != "" && isTrue(o.at(paths.EmailVerified))
}

// isTrue accepts the string "true" as well, which some issuers write.
func isTrue(value jsontext.Value) bool {
	s, isText := text(value)
	return value.Kind() == 't' || isText && s == "true"
}

// seconds is a date of a token (RFC 7519, 2). found says that there is one.
func (o object) seconds(name string) (at time.Time, found, ok bool) {
	value := o.at(Path{name})
	if value == nil {
		return time.Time{}, false, true
	}
	var n float64
	const most = 1 << 40 // seconds; no date of anybody's
	if value.Kind() != '0' || json.Unmarshal(value, &n) != nil || n < 0 || n > most {
		return time.Time{}, true, false
	}
	whole := int64(n)
	return time.Unix(whole, int64((n-float64(whole))*1e9)), true, true
}

// names is a claim that is one string or a list of them.
func (o object) names(name string) []string {
	value := o.at(Path{name})
	if one, ok := text(value); ok {
		return []string{one}
	}
	var list []string
	if value.Kind() != '[' || json.Unmarshal(value, &list) != nil {
		return nil
	}
	return list
}

// judge says until when the claims of a genuine token count.
func (t *terms) judge(o object, now time.Time) (until time.Time, err error) {
	expires, found, ok := o.seconds("exp")
	if !found || !ok {
		return until, refused("token without a valid exp")
	}
	until = expires.Add(t.leeway)
	if !now.Before(until) {
		return until, refused("token has expired")
	}
	starts, _, ok := o.seconds("nbf")
	if !ok || now.Before(starts.Add(-t.leeway)) {
		return until, refused("token is not valid yet")
	}
	if issuer, _ := text(o.at(Path{"iss"})); len(t.issuers) > 0 && !slices.Contains(t.issuers, issuer) {
		return until, refused("token of another issuer")
	}
	isOurs := func(audience string) bool { return slices.Contains(t.audiences, audience) }
	if len(t.audiences) > 0 && !slices.ContainsFunc(o.names("aud"), isOurs) {
		return until, refused("token for another audience")
	}
	return until, nil
}

// identity is whom the claims name. The account must be a string.
func (t *terms) identity(o object) (gateway.Identity, error) {
	account, ok := text(o.at(t.paths.Account))
	if !ok || account == "" || len(account) > gateway.MaxAccount {
		return gateway.Identity{}, refused("the account claim is not a string of 1 to 256 bytes")
	}
	who := gateway.Identity{Account: account}
	o.details(t.paths, &who)
	return who, nil
}
