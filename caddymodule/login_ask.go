package caddymodule

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/identity"
)

// Ask is a login that the app itself has: the app's address for "who am I" is asked whose
// a request's cookie or Authorization header is. The app answers with 2xx and the id, or
// with 401 or 403 for a visitor whom it does not know. Any other answer, or none in time,
// is nobody's word: what needs an account is 503 then.
type Ask struct {
	// The app's address, such as `http://app:3000/api/me`: its own, which does not lead
	// through this gateway. Placeholders such as `{env.ME_URL}` are filled in. Required.
	URL string `json:"url,omitempty"`

	// The names of the cookies that are credentials, so that visitors with other cookies
	// are not asked about; a star at the end of a name stands for more of it. Only these
	// are passed on. Default: all cookies.
	Cookies []string `json:"cookies,omitempty"`

	// Where the JSON of an answer says who the visitor is.
	Fields IdentityPaths `json:"fields,omitzero"`

	// Headers of an answer that say it instead.
	Headers IdentityHeaders `json:"headers,omitzero"`

	// How long the app may take, up to 30s. Default: 2s.
	Timeout config.Duration `json:"timeout,omitempty"`

	// How long an answer is reused, up to 10m. A visitor who signs out may stay signed in
	// here for that long. Default: 10s.
	Remember config.Duration `json:"remember,omitempty"`

	// How many questions are under way at once, at the most. Default: 64.
	Calls int `json:"calls,omitempty"`
}

// IdentityHeaders are response headers that say who a visitor is.
type IdentityHeaders struct {
	// The account's id. Default: it is in the JSON.
	Account string `json:"account,omitempty"`

	// The e-mail address. Default: as the account.
	Email string `json:"email,omitempty"`

	// `true` when the login vouches for the address. Default: as the account.
	EmailVerified string `json:"email_verified,omitempty"`

	// The name. Default: as the account.
	Name string `json:"name,omitempty"`
}

// parse reads `header <what> <name>`. d stands on the option's name.
func (h *IdentityHeaders) parse(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 || args[1] == "" {
		return d.Errf("header takes what it is for (%s) and the name of a header", identityWords)
	}
	targets := map[string]*string{"account": &h.Account, "email": &h.Email, "email_verified": &h.EmailVerified, "name": &h.Name}
	target, known := targets[args[0]]
	switch {
	case !known && targets[args[1]] != nil:
		return d.Errf("what it is for comes first: header %s %s", args[1], args[0])
	case !known:
		return d.Errf("unrecognized word '%s' after header; there are %s", args[0], identityWords)
	case *target != "":
		return d.Errf("header %s is given twice", args[0])
	}
	*target = args[1]
	return nil
}

// options are the settings, with the address as it is given.
func (a *Ask) options(url string) identity.AskOptions {
	return identity.AskOptions{
		URL: url, Cookies: a.Cookies, Fields: a.Fields.paths(), Headers: identity.HeaderNames(a.Headers),
		Timeout: a.Timeout.Std(), Remember: a.Remember.Std(), Calls: a.Calls,
	}
}

func (a *Ask) validate() error {
	options := a.options(a.URL)
	return options.Check()
}

// source makes the login, or finds it as an earlier config made it.
func (a *Ask) source() (identity.Source, string, error) {
	r := newResolver()
	options := a.options(r.must("ask", a.URL))
	if r.err != nil {
		return nil, "", r.err
	}
	options.Observe, options.Forwarded = metrics.identified, forwarded
	settings := []string{
		options.URL, strings.Join(options.Cookies, " "), fmt.Sprintf("%q %q", options.Fields, options.Headers),
		options.Timeout.String(), options.Remember.String(), strconv.Itoa(options.Calls),
	}
	return poolSource("ask", settings, func() (identity.Source, error) { return identity.NewAsk(options) })
}

// parse reads the option ask. Syntax:
//
//	ask <url> {
//		cookie   <name>...
//		field    account | email | email_verified | name <path>...
//		header   account | email | email_verified | name <name>
//		timeout  <period>
//		remember <period>
//		calls    <number>
//	}
//
// field and header can be repeated. A path is read like that of a claim of jwt.
func (a *Ask) parse(d *caddyfile.Dispenser) error {
	if err := readOne(d, &a.URL); err != nil {
		return err
	}
	once := seen{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "field":
			err = a.Fields.parse(d)
		case "header":
			err = a.Headers.parse(d)
		default:
			if err = once.add(d); err == nil {
				err = a.parseOption(d)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *Ask) parseOption(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "cookie":
		return readMany(d, &a.Cookies)
	case "timeout":
		return readPeriod(d, &a.Timeout)
	case "remember":
		return readPeriod(d, &a.Remember)
	case "calls":
		return readCount(d, identity.MaxCalls, &a.Calls)
	default:
		return unknown(d, "ask", "cookie", "field", "header", "timeout", "remember", "calls")
	}
}
