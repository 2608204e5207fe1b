package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/dodogate/dodogate/internal/gateway"
)

// validatePlaceholders refuses settings by which everybody would be the same account.
func (g *Gateway) validatePlaceholders() error {
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

// placeholders is the login of another module: what it fills in says who makes a request.
type placeholders struct{ account, email, emailVerified, name blank }

func newPlaceholders(g *Gateway) *placeholders {
	return &placeholders{newBlank(g.Account), newBlank(g.Email), newBlank(g.EmailVerified), newBlank(g.Name)}
}

// Identify implements [identity.Source]: a request is nobody's unless every placeholder of
// the account has a value.
func (p *placeholders) Identify(r *http.Request, whole bool) (gateway.Identity, error) {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	who := gateway.Identity{Account: p.account.fill(repl)}
	if len(who.Account) > gateway.MaxAccount {
		return gateway.Identity{}, gateway.ErrAccount
	}
	if !whole || who.Account == "" {
		return who, nil
	}
	who.Email, who.Name = p.email.fill(repl), p.name.fill(repl)
	who.EmailVerified = who.Email != "" && p.emailVerified.fill(repl) == "true"
	return who, nil
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
