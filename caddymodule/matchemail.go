package caddymodule

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// MatchEmail says which e-mail address of a visitor leads purchases that were made
// elsewhere to the account.
type MatchEmail struct {
	// The address, such as `{http.auth.user.email}`. Required.
	Email string `json:"email,omitempty"`

	// Says `true` when the login vouches for the address, such as
	// `{http.auth.user.email_verified}`. Required.
	Verified string `json:"verified,omitempty"`
}

func (m *MatchEmail) validate() error {
	if m == nil {
		return nil
	}
	if m.Email == "" || m.Verified == "" {
		return errors.New("match_email needs both: the address, and what says that the login vouches for it")
	}
	for _, text := range []string{m.Email, m.Verified} {
		if !hasPlaceholder(text) {
			return fmt.Errorf("match_email must have placeholders, or it would be the same for everybody: %q", text)
		}
	}
	return nil
}

// emailMatch is a MatchEmail ready to be filled in; nil when the option is off.
type emailMatch struct{ email, verified blank }

func newEmailMatch(m *MatchEmail) *emailMatch {
	if m == nil {
		return nil
	}
	return &emailMatch{newBlank(m.Email), newBlank(m.Verified)}
}

// vouch notes the address of whoever makes the request, if the login vouches for it.
func (a *App) vouch(r *http.Request, account string) {
	if a.emailMatch == nil || account == "" {
		return
	}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if a.emailMatch.verified.fill(repl) != "true" {
		return
	}
	if err := a.gateway.Vouch(r.Context(), account, a.emailMatch.email.fill(repl)); err != nil && r.Context().Err() == nil {
		a.logger.Warn("purchases by e-mail address could not be looked for", "error", err)
	}
}

// parseMatchEmail reads the option match_email. Syntax:
//
//	match_email <placeholder> verified <placeholder>
func parseMatchEmail(d *caddyfile.Dispenser) (*MatchEmail, error) {
	args := d.RemainingArgs()
	if len(args) != 3 || args[1] != "verified" {
		return nil, d.Err("match_email takes a placeholder, the word verified, and a placeholder: match_email <placeholder> verified <placeholder>")
	}
	m := &MatchEmail{Email: args[0], Verified: args[2]}
	if err := m.validate(); err != nil {
		return nil, d.WrapErr(err)
	}
	return m, nil
}
