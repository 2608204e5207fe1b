package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/httpapi"
	"github.com/dodogate/dodogate/internal/identity"
)

// validateIdentity refuses settings by which nobody could be told from anybody.
func (g *Gateway) validateIdentity() error {
	given := 0
	for _, is := range []bool{g.Account != "", g.JWT != nil, g.Ask != nil} {
		if is {
			given++
		}
	}
	switch {
	case given == 0:
		return errors.New("one of account, jwt and ask is required, which say who makes a request: account takes the placeholder of the login's user id, such as {http.auth.user.id}")
	case given > 1:
		return errors.New("account, jwt and ask exclude each other: one of them says who makes a request")
	}
	if err := checkSignInURL(g.SignInURL); err != nil {
		return err
	}
	if g.Account != "" {
		return g.validatePlaceholders()
	}
	if g.Email != "" || g.EmailVerified != "" || g.Name != "" {
		return errors.New("email, email_verified and name belong to account; with jwt write claim, and with ask field or header, into its block")
	}
	if g.JWT != nil {
		return g.JWT.validate()
	}
	return g.Ask.validate()
}

// checkSignInURL accepts an address of the web, or a path of the site itself.
func checkSignInURL(address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	isPath := err == nil && u.Scheme == "" && u.Host == "" && strings.HasPrefix(address, "/") && !strings.HasPrefix(address, "//")
	isWeb := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
	if !isPath && !isWeb || strings.ContainsAny(address, "\\{}") {
		return fmt.Errorf("sign_in_url must be an address such as https://app.example.com/login, or a path such as /login, not %q", address)
	}
	return nil
}

// newSource makes what says who makes a request. key, unless it is empty, is to be given
// back to logins.
func (g *Gateway) newSource() (source identity.Source, key string, err error) {
	switch {
	case g.JWT != nil:
		return g.JWT.source(g.logger, g.Written)
	case g.Ask != nil:
		return g.Ask.source()
	}
	return newPlaceholders(g), "", nil
}

// logins are the sources that the process has: what they remember, and the keys of an
// issuer who may be away just now, outlive a config.
var logins = caddy.NewUsagePool()

// pooledSource is a source in the pool.
type pooledSource struct{ identity.Source }

// Destruct implements [caddy.Destructor]. A source has nothing to close.
func (pooledSource) Destruct() error { return nil }

// poolSource finds the source of some settings in the pool, or makes it.
func poolSource(kind string, settings []string, newSource func() (identity.Source, error)) (identity.Source, string, error) {
	key := kind + ":" + digest(settings)
	pooled, _, err := logins.LoadOrNew(key, func() (caddy.Destructor, error) {
		source, err := newSource()
		return pooledSource{source}, err
	})
	if err != nil {
		return nil, "", err
	}
	return pooled.(pooledSource).Source, key, nil
}

// Cleanup gives the source back.
func (g *Gateway) Cleanup() error {
	if g.sourceKey == "" {
		return nil
	}
	_, err := logins.Delete(g.sourceKey)
	return err
}

// identify says who makes a request, or why nobody can say. A preflight is nobody's:
// browsers send no login with it, and an app that does not look at the method would do
// the account's work for it.
func (g *Gateway) identify(r *http.Request, whole bool) (gateway.Identity, error) {
	if httpapi.IsPreflight(r) {
		return gateway.Identity{}, nil
	}
	who, err := g.source.Identify(r, whole)
	if err != nil && errors.Is(err, gateway.ErrLoginUnavailable) {
		g.tellOfOutage(err)
	}
	return who, err
}

// outageLines bounds how often the log says that a login cannot be asked.
var outageLines = rate.Every(10 * time.Second)

func (g *Gateway) tellOfOutage(err error) {
	if g.outages.Allow() {
		g.logger.Error("the login cannot be asked; requests with credentials pass as anonymous where no account is needed, and are answered with 503 elsewhere", zap.Error(err))
	}
}

// fileDigest makes a changed file another setting.
func fileDigest(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("key_file: %w", err)
	}
	return digest([]string{string(text)}), nil
}

// forwarded is what an app hears of a client when it is asked who that is.
func forwarded(r *http.Request) identity.Forwarded {
	proto := "http"
	if r.TLS != nil {
		proto = "https"
	}
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
		if said := r.Header.Get("X-Forwarded-Proto"); said == "http" || said == "https" {
			proto = said
		}
	}
	return identity.Forwarded{For: clientIP(r), Host: r.Host, Proto: proto}
}
