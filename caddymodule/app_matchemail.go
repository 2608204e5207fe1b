package caddymodule

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/dodogate/dodogate/internal/gateway"
)

// MatchEmail says which e-mail address of a visitor leads purchases that were made
// elsewhere to the account: the one in the placeholders while verified says `true`, else
// the one that the login of the dodo_gateway vouches for by itself (email and
// email_verified of jwt, of ask, or of the gateway).
type MatchEmail struct {
	// The address, such as `{http.auth.user.email}`. Default: only that of the login.
	Email string `json:"email,omitempty"`

	// Says `true` when the login vouches for the address, such as
	// `{http.auth.user.email_verified}`. Required with email.
	Verified string `json:"verified,omitempty"`
}

func (m *MatchEmail) validate() error {
	if m == nil || m.Email == "" && m.Verified == "" {
		return nil
	}
	if m.Email == "" || m.Verified == "" {
		return errors.New("match_email needs both: the address, and what says that the login vouches for it; or neither, for the address of the login")
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

// address is the e-mail address that the login vouches for; empty for none.
func (m *emailMatch) address(repl *caddy.Replacer, who gateway.Identity) string {
	if m.verified.fill(repl) == "true" {
		if email := m.email.fill(repl); email != "" {
			return email
		}
	}
	if who.EmailVerified {
		return who.Email
	}
	return ""
}

// vouch notes the address of the account that makes the request, if the login vouches
// for it.
func (a *App) vouch(r *http.Request, who gateway.Identity) {
	if a.emailMatch == nil || who.Account == "" {
		return
	}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if err := a.events.ClaimEmail(r.Context(), who.Account, a.emailMatch.address(repl, who)); err != nil && r.Context().Err() == nil {
		a.logger.Warn("purchases by e-mail address could not be looked for", zap.Error(err))
	}
}

// warnOfNoAddress says that match_email is on and this gateway can never have an address.
func (g *Gateway) warnOfNoAddress() {
	if m := g.app.MatchEmail; m != nil && m.Email == "" && g.Account != "" && g.EmailVerified == "" {
		g.logger.Warn("match_email adopts nothing at this dodo_gateway: its login has no verified address; give it email and email_verified, or give match_email placeholders",
			zap.String("account", g.Account))
	}
}

// parseMatchEmail reads the option match_email. Syntax:
//
//	match_email [<placeholder> verified <placeholder>]
func parseMatchEmail(d *caddyfile.Dispenser) (*MatchEmail, error) {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return &MatchEmail{}, nil
	}
	if len(args) != 3 || args[1] != "verified" {
		return nil, d.Err("match_email takes a placeholder, the word verified, and a placeholder: match_email <placeholder> verified <placeholder>; or nothing, for the address of the login")
	}
	m := &MatchEmail{Email: args[0], Verified: args[2]}
	if err := m.validate(); err != nil {
		return nil, d.WrapErr(err)
	}
	return m, nil
}
