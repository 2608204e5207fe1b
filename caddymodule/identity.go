package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/httpapi"
)

// validateIdentity refuses settings by which everybody would be the same account.
func (g *Gateway) validateIdentity() error {
	if g.Account == "" {
		return errors.New("account is required: the placeholder of the login's user id, such as {http.auth.user.id}")
	}
	for _, setting := range []struct{ name, value string }{
		{"account", g.Account}, {"email", g.Email}, {"email_verified", g.EmailVerified}, {"name", g.Name},
	} {
		if setting.value != "" && !hasPlaceholder(setting.value) {
			return fmt.Errorf("%s must have a placeholder in it, or it would be the same for everybody: %q", setting.name, setting.value)
		}
	}
	if g.EmailVerified != "" && g.Email == "" {
		return errors.New("email_verified without email")
	}
	return nil
}

func hasPlaceholder(text string) bool {
	_, after, open := strings.Cut(text, "{")
	return open && strings.Contains(after, "}")
}

// login are the settings that say who makes a request, ready to be filled in.
type login struct{ account, email, emailVerified, name blank }

func newLogin(g *Gateway) login {
	return login{newBlank(g.Account), newBlank(g.Email), newBlank(g.EmailVerified), newBlank(g.Name)}
}

// account is whose request it is: nobody's unless every placeholder has a value,
// and [gateway.ErrAccount] for an id that names no account. A preflight is nobody's:
// browsers send no login with it, and an app that does not look at the method would
// do the account's work for it.
func (g *Gateway) account(r *http.Request, repl *caddy.Replacer) (string, error) {
	if httpapi.IsPreflight(r) {
		return "", nil
	}
	account := g.login.account.fill(repl)
	if len(account) > gateway.MaxAccount {
		return "", gateway.ErrAccount
	}
	return account, nil
}

// identity is what else is known of whoever makes the request.
func (g *Gateway) identity(repl *caddy.Replacer, account string) gateway.Identity {
	if account == "" {
		return gateway.Identity{}
	}
	who := gateway.Identity{Account: account, Email: g.login.email.fill(repl), Name: g.login.name.fill(repl)}
	who.EmailVerified = who.Email != "" && g.login.emailVerified.fill(repl) == "true"
	return who
}

// blank is a text with placeholders.
type blank struct {
	text string
	key  string // of the placeholder that is all of the text; empty for any other text
}

func newBlank(text string) blank {
	b := blank{text: text}
	if key, ok := strings.CutPrefix(text, "{"); ok {
		if key, ok = strings.CutSuffix(key, "}"); ok && !strings.ContainsAny(key, `{}\`) {
			b.key = key
		}
	}
	return b
}

// fill resolves placeholders once: what they stand for is text of users, in which
// braces mean nothing. It returns "" when any is unknown or empty, because the
// replacer would leave its name in the text, and then all visitors without a
// login would be one account of that name.
//
// Other handlers may have done just that: request_header writes the name of an
// unknown placeholder into the header. Such text is nobody's either.
func (b blank) fill(repl *caddy.Replacer) string {
	var value string
	switch {
	case b.text == "":
		return ""
	case b.key != "": // as below, without building a text
		value, _ = repl.GetString(b.key)
	default:
		filled, err := repl.ReplaceOrErr(b.text, true, true)
		if err != nil {
			return ""
		}
		value = filled
	}
	if strings.Contains(value, "{http.") {
		return ""
	}
	return value
}
