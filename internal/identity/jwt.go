package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/dodogate/dodogate/internal/gateway"
)

// JWTOptions say which tokens are accepted, and what is read from them.
type JWTOptions struct {
	// NoBearer ignores the Authorization header.
	NoBearer bool
	// Cookie is the name of the cookie with the token, for requests without a bearer token.
	// Empty: none.
	Cookie string

	// JWKS is the address at which the issuer publishes its keys. Exactly one of JWKS, KeyFile
	// and Secrets is required.
	JWKS string
	// KeyFile is a file with public keys or certificates in PEM, or a JSON Web Key Set.
	KeyFile string
	// Secrets are shared with the issuer; a signature by any of them is valid.
	Secrets []string

	// Issuers and Audiences: a token must name one of each. Empty: not checked.
	Issuers, Audiences []string
	// Algorithms are the accepted signature algorithms. Default:
	// [JWTOptions.DefaultAlgorithms].
	Algorithms []string
	// Leeway is the tolerated clock difference, at both ends of a token's life.
	Leeway time.Duration
	// Paths are the claims with the identity. Defaults are those of OpenID Connect: sub,
	// email, email_verified and name.
	Paths Paths

	// Observe counts results. Optional.
	Observe func(Result)
	// Clock returns the time. Default: time.Now.
	Clock func() time.Time
	// Transport fetches the keys. Default: a new one.
	Transport http.RoundTripper
	// Logger gets a line if the keys cannot be fetched. Default: none.
	Logger *slog.Logger
}

// Algorithms, by whether they need a secret or a public key.
var (
	secretAlgorithms = []string{"HS256", "HS384", "HS512"}
	publicAlgorithms = []string{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
	}
)

// DefaultAlgorithms are accepted if the options name none.
func (o *JWTOptions) DefaultAlgorithms() []string {
	if len(o.Secrets) > 0 {
		return secretAlgorithms[:1]
	}
	return []string{"RS256", "ES256", "EdDSA"}
}

// MaxLeeway is the largest Leeway.
const MaxLeeway = 10 * time.Minute

// Check returns what is wrong with the settings. It opens no file and makes no call, and
// accepts unresolved placeholders.
func (o *JWTOptions) Check() error {
	given := 0
	for _, set := range []bool{o.JWKS != "", o.KeyFile != "", len(o.Secrets) > 0} {
		if set {
			given++
		}
	}
	switch {
	case given != 1:
		return errors.New("jwt needs exactly one of jwks, key_file and secret, which say whose signature counts")
	case o.NoBearer && o.Cookie == "":
		return errors.New("jwt with bearer off needs a cookie: no request could have a token")
	case !isCookieName(o.Cookie):
		return fmt.Errorf("cookie %q is not the name of a cookie", o.Cookie)
	case o.Leeway < 0 || o.Leeway > MaxLeeway:
		return fmt.Errorf("leeway must be from 0 to %v", MaxLeeway)
	case o.JWKS != "" && len(o.Issuers) == 0 && len(o.Audiences) == 0:
		return errors.New("jwks needs an issuer or an audience: many login services sign for all their customers with the same keys")
	}
	if err := o.checkAlgorithms(); err != nil {
		return err
	}
	if err := o.Paths.check(); err != nil {
		return err
	}
	return checkKeyURL(o.JWKS)
}

func (o *JWTOptions) checkAlgorithms() error {
	for i, name := range o.Algorithms {
		isSecret, isPublic := slices.Contains(secretAlgorithms, name), slices.Contains(publicAlgorithms, name)
		switch {
		case strings.EqualFold(name, "none"):
			return errors.New("algorithms: none is no signature, so that anybody could write a token")
		case !isSecret && !isPublic:
			return fmt.Errorf("algorithms: there is no %q; there are %s", name, strings.Join(slices.Concat(secretAlgorithms, publicAlgorithms), ", "))
		case isSecret && len(o.Secrets) == 0:
			return fmt.Errorf("algorithms: %s needs a secret; with public keys, which anybody can read, anybody could write a token", name)
		case isPublic && len(o.Secrets) > 0:
			return fmt.Errorf("algorithms: %s needs public keys (jwks or key_file), not a secret", name)
		case slices.Contains(o.Algorithms[:i], name):
			return fmt.Errorf("algorithms names %s twice", name)
		}
	}
	return nil
}

func (p Paths) check() error {
	for _, path := range []Path{p.Account, p.Email, p.EmailVerified, p.Name} {
		if slices.Contains(path, "") {
			return errors.New("a path to a claim or field has an empty name in it")
		}
	}
	return nil
}

// checkKeyURL refuses addresses at which somebody on the network could replace the keys.
func checkKeyURL(address string) error {
	if address == "" || strings.Contains(address, "{") {
		return nil
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return errors.New("jwks is not an address such as https://login.example.com/.well-known/jwks.json")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("jwks must begin with https://, unless its host is a loopback one: who changes the keys on the way can sign any token")
}

// tokenRules are what a token must fulfil.
type tokenRules struct {
	algorithms         []jose.SignatureAlgorithm
	issuers, audiences []string
	leeway             time.Duration
	paths              Paths
}

// JWT accepts tokens that the right issuer has signed.
type JWT struct {
	noBearer bool
	cookie   string
	rules    tokenRules
	keys     keyring
	verdicts *verdictCache
	observe  func(Result)
	clock    func() time.Time
}

// NewJWT makes a source from options without placeholders, and reads the key file. Keys at an
// address are fetched when the first token arrives.
func NewJWT(o JWTOptions) (*JWT, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Observe == nil {
		o.Observe = func(Result) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	j := &JWT{
		noBearer: o.NoBearer, cookie: o.Cookie, verdicts: newVerdictCache(), observe: o.Observe, clock: o.Clock,
		rules: tokenRules{issuers: o.Issuers, audiences: o.Audiences, leeway: o.Leeway, paths: o.Paths.withDefaults()},
	}
	algorithms := o.Algorithms
	if len(algorithms) == 0 {
		algorithms = o.DefaultAlgorithms()
	}
	for _, name := range algorithms {
		j.rules.algorithms = append(j.rules.algorithms, jose.SignatureAlgorithm(name))
	}
	var err error
	j.keys, err = o.keyring(algorithms)
	return j, err
}

// withDefaults fills in the names of OpenID Connect.
func (p Paths) withDefaults() Paths {
	or := func(path Path, name string) Path {
		if len(path) == 0 {
			return Path{name}
		}
		return path
	}
	return Paths{or(p.Account, "sub"), or(p.Email, "email"), or(p.EmailVerified, "email_verified"), or(p.Name, "name")}
}

func (o *JWTOptions) keyring(algorithms []string) (keyring, error) {
	switch {
	case len(o.Secrets) > 0:
		return secretKeys(o.Secrets, algorithms)
	case o.KeyFile != "":
		return fileKeys(o.KeyFile)
	}
	transport := o.Transport
	if transport == nil {
		transport = newTransport(http.ProxyFromEnvironment)
	}
	return newRemoteKeys(o.JWKS, transport, o.Clock, o.Logger), nil
}

// secretKeys refuses secrets that are shorter than the hash of an algorithm (RFC 7518, 3.2).
func secretKeys(secrets, algorithms []string) (keyring, error) {
	needs := map[string]int{"HS256": minSecret, "HS384": 48, "HS512": 64}
	var keys fixedKeys
	for i, secret := range secrets {
		for _, name := range algorithms {
			if len(secret) < needs[name] {
				return nil, fmt.Errorf("secret %d: too short for %s, which needs %d bytes", i+1, name, needs[name])
			}
		}
		keys = append(keys, &trustedKey{public: []byte(secret)})
	}
	return keys, nil
}

func fileKeys(path string) (keyring, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("key_file: %w", err)
	}
	keys, err := parseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("key_file %s: %w", path, err)
	}
	return fixedKeys(keys), nil
}

// Identify implements [Source]. A bearer token takes precedence over a cookie, because the
// client sent it explicitly and a browser adds cookies automatically.
func (j *JWT) Identify(r *http.Request, _ bool) (gateway.Identity, error) {
	token, err := j.token(r.Header)
	if err != nil {
		j.observe(Refused)
		return gateway.Identity{}, err
	}
	if token == "" {
		return gateway.Identity{}, nil
	}
	now := j.clock()
	j.keys.refreshIfOld(now)
	digest := j.verdicts.digest(token)
	if found, ok := j.verdicts.get(digest, now); ok {
		j.observe(Remembered)
		return found.who, nil
	}
	found, err := j.verify(r.Context(), token, now)
	switch {
	case err == nil:
		j.verdicts.put(digest, found)
		j.observe(Verified)
		return found.who, nil
	case errors.Is(err, gateway.ErrLoginUnavailable):
		j.observe(Unavailable)
	default:
		j.observe(Refused)
	}
	return gateway.Identity{}, err
}

// token is the request's token; empty if there is none.
func (j *JWT) token(header http.Header) (token string, err error) {
	if !j.noBearer {
		if token, err = bearer(header); err != nil {
			return "", err
		}
	}
	if token == "" && j.cookie != "" {
		if token, err = cookie(header, j.cookie); err != nil {
			return "", err
		}
	}
	if len(token) > maxCredential {
		return "", refusedCredentials("token is too long")
	}
	return token, nil
}

// verify checks a token that has no cached verdict.
func (j *JWT) verify(ctx context.Context, token string, now time.Time) (*verdict, error) {
	signed, err := jose.ParseSignedCompact(token, j.rules.algorithms)
	if err != nil {
		return nil, refusedCredentials("not a signed token, or not with one of the algorithms")
	}
	head := signed.Signatures[0].Protected
	const maxKeyID = 256
	if len(head.KeyID) > maxKeyID || head.ExtraHeaders["b64"] != nil || head.ExtraHeaders["crit"] != nil {
		return nil, refusedCredentials("token with a header that is not supported")
	}
	keys, err := j.keys.keys(ctx, head.KeyID)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", gateway.ErrLoginUnavailable, err)
	}
	key, payload := verifyWith(signed, jose.SignatureAlgorithm(head.Algorithm), keys)
	if key == nil {
		return nil, refusedCredentials("no known key has signed the token")
	}
	claims, ok := parseObject(payload)
	if !ok {
		return nil, refusedCredentials("claims are not a JSON object with each name once")
	}
	until, err := j.rules.check(claims, now)
	if err != nil {
		return nil, err
	}
	who, err := j.rules.identity(claims)
	if err != nil {
		return nil, err
	}
	return &verdict{who: who, until: until.UnixMilli(), untrusted: &key.untrusted}, nil
}

// maxKeyTries bounds how many keys are tried for one token.
const maxKeyTries = 8

// verifyWith finds the key that signed a token, and returns the signed payload.
func verifyWith(signed *jose.JSONWebSignature, algorithm jose.SignatureAlgorithm, keys []*trustedKey) (*trustedKey, []byte) {
	tries := 0
	for _, key := range keys {
		if !key.fits(algorithm) {
			continue
		}
		if tries++; tries > maxKeyTries {
			return nil, nil
		}
		if payload, err := signed.Verify(key.public); err == nil {
			return key, payload
		}
	}
	return nil, nil
}
