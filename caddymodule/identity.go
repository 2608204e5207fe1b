package caddymodule

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/dodogate/dodogate/internal/gateway"
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

// identity is who makes the request: anonymous unless every placeholder of the
// account has a value, and [gateway.ErrAccount] for an id that names no account.
func (g *Gateway) identity(repl *caddy.Replacer) (gateway.Identity, error) {
	account := fill(repl, g.Account)
	switch {
	case account == "":
		return gateway.Identity{}, nil
	case len(account) > gateway.MaxAccount:
		return gateway.Identity{}, gateway.ErrAccount
	}
	who := gateway.Identity{Account: account, Email: fill(repl, g.Email), Name: fill(repl, g.Name)}
	who.EmailVerified = who.Email != "" && fill(repl, g.EmailVerified) == "true"
	return who, nil
}

// fill resolves placeholders once: what they stand for is text of users, in which
// braces mean nothing. It returns "" when any is unknown or empty, because the
// replacer would leave its name in the text, and then all visitors without a
// login would be one account of that name.
//
// Other handlers may have done just that: request_header writes the name of an
// unknown placeholder into the header. Such text is nobody's either.
func fill(repl *caddy.Replacer, text string) string {
	if text == "" {
		return ""
	}
	value, err := repl.ReplaceOrErr(text, true, true)
	if err != nil || strings.Contains(value, "{http.") {
		return ""
	}
	return value
}
