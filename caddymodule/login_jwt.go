package caddymodule

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/identity"
)

// JWT is a login by signed tokens, as most login services issue them: a request belongs to
// the account that its token names. A token comes as a bearer token in the Authorization
// header, or in a cookie. Exactly one of jwks, key_file and secrets is needed.
type JWT struct {
	// `off` leaves the Authorization header alone, so that only the cookie counts.
	// Default: a bearer token there counts, and before the cookie.
	Bearer string `json:"bearer,omitempty"`

	// The name of a cookie that has the token. Default: none.
	Cookie string `json:"cookie,omitempty"`

	// The address of the issuer's public keys (a JSON Web Key Set). `https://`, unless its
	// host is a loopback one. Placeholders such as `{env.JWKS_URL}` are filled in.
	JWKS string `json:"jwks,omitempty"`

	// A file with the issuer's public keys: PEM, or a JSON Web Key Set. It is read when
	// the config is loaded.
	KeyFile string `json:"key_file,omitempty"`

	// Secrets that are shared with the issuer (HS256), as placeholders such as
	// `{env.JWT_SECRET}`; any of them verifies, so that they can be rotated. At least 32
	// bytes each.
	Secrets []string `json:"secrets,omitempty"`

	// A token must name one of these as its issuer (`iss`). Placeholders are filled in.
	// Default: any.
	Issuers []string `json:"issuers,omitempty"`

	// A token must be for one of these (`aud`). Placeholders are filled in. jwks needs
	// issuers or audiences. Default: any.
	Audiences []string `json:"audiences,omitempty"`

	// The signatures that are believed: `RS256`, `RS384`, `RS512`, `PS256`, `PS384`,
	// `PS512`, `ES256`, `ES384`, `ES512` and `EdDSA` with public keys, `HS256`, `HS384` and
	// `HS512` with secrets. Default: `RS256`, `ES256` and `EdDSA`, or `HS256`.
	Algorithms []string `json:"algorithms,omitempty"`

	// By how much the clocks of the issuer and of this machine may differ, up to 10m.
	// Default: 0.
	Leeway config.Duration `json:"leeway,omitempty"`

	// Where a token says who the visitor is.
	Claims IdentityPaths `json:"claims,omitzero"`
}

// IdentityPaths say where an identity is found in a JSON object: each is a list of names,
// one for each object on the way.
type IdentityPaths struct {
	// The account's id. Default: `sub` of a token, `id` of an answer.
	Account []string `json:"account,omitempty"`

	// The e-mail address that a checkout is filled in with. Default: `email`.
	Email []string `json:"email,omitempty"`

	// Whether the login vouches for the address. Default: `email_verified`.
	EmailVerified []string `json:"email_verified,omitempty"`

	// The name that a checkout is filled in with. Default: `name`.
	Name []string `json:"name,omitempty"`
}

func (p IdentityPaths) paths() identity.Paths {
	return identity.Paths{Account: p.Account, Email: p.Email, EmailVerified: p.EmailVerified, Name: p.Name}
}

// parse reads `<what> <path>...`. d stands on the option's name.
func (p *IdentityPaths) parse(d *caddyfile.Dispenser) error {
	option := d.Val()
	args := d.RemainingArgs()
	if len(args) < 2 {
		return d.Errf("%s takes what it is for (%s) and a path", option, identityWords)
	}
	targets := map[string]*[]string{"account": &p.Account, "email": &p.Email, "email_verified": &p.EmailVerified, "name": &p.Name}
	target, known := targets[args[0]]
	switch {
	case !known && targets[args[1]] != nil:
		return d.Errf("what it is for comes first: %s %s %s", option, args[1], args[0])
	case !known:
		return d.Errf("unrecognized word '%s' after %s; there are %s", args[0], option, identityWords)
	case *target != nil:
		return d.Errf("%s %s is given twice", option, args[0])
	}
	*target = identity.ParsePath(args[1:]...)
	return nil
}

const identityWords = "account, email, email_verified and name"

// options are the settings with their placeholders filled in by r.
func (j *JWT) options(r *resolver) identity.JWTOptions {
	return identity.JWTOptions{
		NoBearer: j.Bearer == off, Cookie: j.Cookie,
		JWKS: r.text("jwks", j.JWKS), KeyFile: r.text("key_file", j.KeyFile), Secrets: r.list("secret", j.Secrets),
		Issuers: r.list("issuer", j.Issuers), Audiences: r.list("audience", j.Audiences),
		Algorithms: j.Algorithms, Leeway: j.Leeway.Std(), Paths: j.Claims.paths(),
	}
}

const off = "off"

// validate finds what is wrong with the settings before their placeholders are filled in.
func (j *JWT) validate() error {
	if j.Bearer != "" && j.Bearer != off {
		return fmt.Errorf("bearer can only be %s, not '%s'", off, j.Bearer)
	}
	options := identity.JWTOptions{
		NoBearer: j.Bearer == off, Cookie: j.Cookie, JWKS: j.JWKS, KeyFile: j.KeyFile, Secrets: j.Secrets,
		Issuers: j.Issuers, Audiences: j.Audiences, Algorithms: j.Algorithms, Leeway: j.Leeway.Std(), Paths: j.Claims.paths(),
	}
	return options.Check()
}

// source makes the login, or finds it as an earlier config made it.
func (j *JWT) source(logger *zap.Logger, at Written) (identity.Source, string, error) {
	warnOfPlainSecrets(logger, at, "jwt secret", j.Secrets)
	r := newResolver()
	options := j.options(r)
	if r.err != nil {
		return nil, "", fmt.Errorf("jwt: %w", r.err)
	}
	file, err := fileDigest(options.KeyFile)
	if err != nil {
		return nil, "", fmt.Errorf("jwt: %w", err)
	}
	options.Observe = metrics.identified
	options.Logger = coreLogger(processLogger("dodo.login"))
	settings := []string{
		j.Bearer, options.Cookie, options.JWKS, options.KeyFile, file, digest(options.Secrets), digest(options.Issuers),
		digest(options.Audiences), strings.Join(options.Algorithms, " "), options.Leeway.String(), fmt.Sprintf("%q", options.Paths),
	}
	source, key, err := poolSource("jwt", settings, func() (identity.Source, error) { return identity.NewJWT(options) })
	if err != nil {
		return nil, "", fmt.Errorf("jwt: %w", err)
	}
	return source, key, nil
}

// parse reads the block of the option jwt. Syntax:
//
//	jwt {
//		bearer     off
//		cookie     <name>
//		jwks       <url>
//		key_file   <path>
//		secret     <secret>...
//		issuer     <issuer>...
//		audience   <audience>...
//		algorithms <name>...
//		leeway     <period>
//		claim      account | email | email_verified | name <path>...
//	}
//
// claim can be repeated. A path is the name of a claim, with dots before those in objects:
// `user_metadata.full_name`. A name with a colon or slash in it is one name, dots and all,
// and each further part leads one object deeper.
func (j *JWT) parse(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.Errf("jwt takes no argument, but a block")
	}
	once := seen{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() == "claim" {
			if err := j.Claims.parse(d); err != nil {
				return err
			}
			continue
		}
		if err := once.add(d); err != nil {
			return err
		}
		if err := j.parseOption(d); err != nil {
			return err
		}
	}
	return nil
}

func (j *JWT) parseOption(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "bearer":
		return readOne(d, &j.Bearer)
	case "cookie":
		return readOne(d, &j.Cookie)
	case "jwks":
		return readOne(d, &j.JWKS)
	case "key_file":
		return readOne(d, &j.KeyFile)
	case "secret":
		return readMany(d, &j.Secrets)
	case "issuer":
		return readMany(d, &j.Issuers)
	case "audience":
		return readMany(d, &j.Audiences)
	case "algorithms":
		return readMany(d, &j.Algorithms)
	case "leeway":
		return readPeriod(d, &j.Leeway)
	default:
		return unknown(d, "jwt", "bearer", "cookie", "jwks", "key_file", "secret", "issuer", "audience", "algorithms", "leeway", "claim")
	}
}
