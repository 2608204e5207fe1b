package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/httpapi"
	"github.com/dodogate/dodogate/internal/ledger"
)

func init() {
	caddy.RegisterModule(Charge{})
}

// Charge makes requests cost credits. It sets them aside before the request is
// passed on, and spends them or gives them back by the status of the answer. It
// needs a `dodo_gateway` before it in the request. If no request can have passed one, the
// config is refused; a single request that did not is answered with 500.
//
// Who cannot pay is refused: with 402 and offers of what would satisfy it, with
// 401 when nobody is logged in. Before a 402, Dodo is asked about orders of the
// account that wait to be paid, and about subscriptions whose period is over. A request that comes as TLS early data is answered
// with 425, and a CORS preflight, which carries no login, passes for nothing: of
// the answer to it only the status and the `Access-Control-*` headers go back.
//
// A request that changes something, or asks for a WebSocket, and that a page of another
// site had a visitor's browser send, is answered with 403 and not charged, unless it has
// a bearer token or comes from one of the gateway's trusted_origins. Answers to requests
// that pass go out with `Cache-Control: private`, unless the app sets one.
//
// Every other request is charged, whatever its method: HEAD as GET, a range or a
// conditional request as a whole one. Answers are not buffered. The charge is
// decided when the status is known, so that a stream that breaks off is paid for;
// a client that leaves before that pays and gets nothing, and so does everybody when
// the app cannot be reached. What was held by a gateway that died comes back after
// hold_ttl.
//
// An answer that another handler makes in the place of the app's (`handle_response`,
// `intercept`) is charged only if both statuses are. A gRPC call is charged if its
// `grpc-status` is 0, or if it fails behind a part of the answer, which is known at its end.
//
// The answer has `X-Credits-Charged` and `X-Credits-Remaining`, and `X-Charge-Id` names
// the charge, as the field charge_id of the access log and the entry of the ledger do. What the
// app writes under these names is removed. An error page that `handle_errors` makes does
// not pass here: if an app makes it that writes them or a price, have its
// reverse_proxy drop them by header_down.
//
// With an `Idempotency-Key` (1 to 255 visible characters, quoted or bare), a repeat
// never reaches the app once the first was charged, which is remembered for 24
// hours: 409 while the first is running, and then with what it was charged; 422
// when it is another request (by method, address and what its headers say of the
// body). A first that was not charged may be repeated.
type Charge struct {
	Refusing
	Written

	// What a request costs, in credits, 0 to 9007199254740991. 0 needs price_header
	// or max.
	Credits int64 `json:"credits,omitempty"`

	// The statuses that are charged, such as `200` and `2xx`. Default: `2xx` and
	// `3xx`, and 101.
	ChargeOn []string `json:"charge_on,omitempty"`

	// The statuses that are not, of those. Default: none.
	ReleaseOn []string `json:"release_on,omitempty"`

	// The response header in which the app may say what the request really costs,
	// as a whole number of credits, or see price_unit. It is removed from the answer. If it is declared as a
	// trailer, the charge is decided at the end; whoever received a part of the body
	// pays credits if the price does not come. Default: `X-Charge-Credits` if max
	// is set, else none.
	PriceHeader string `json:"price_header,omitempty"`

	// How many credits 1.00 of what the app names is: with it the price header has a
	// decimal number such as `0.0034` or `1.2e-05` of dollars. 1 to 9007199254740991.
	// Default: the app names whole credits.
	PriceUnit int64 `json:"price_unit,omitempty"`

	// How parts of a credit are rounded: `up` or `down`. Needs price_unit. Default: `up`.
	PriceRound string `json:"price_round,omitempty"`

	// The most that a request may cost, which is what is set aside. An app that
	// names a higher price gets this. Default: credits.
	Max int64 `json:"max,omitempty"`

	// How long credits stay set aside when the gateway dies. Default: 5m.
	HoldTTL config.Duration `json:"hold_ttl,omitempty"`

	// What becomes of a request while the store cannot be reached: `closed` refuses
	// it with 503; `open` lets it pass, if its account is remembered to have enough,
	// and charges it when the store is back. open needs max_stale of the app, and
	// is not for requests with an `Idempotency-Key`. What is not charged when the
	// process ends never is. Default: `closed`.
	OnStoreError string `json:"on_store_error,omitempty"`

	// Keeps the answer to a request with an `Idempotency-Key` for 24 hours, if it is
	// no larger than 32 KiB, and repeats it to a client that repeats the request and asks
	// for the same form of the answer, as its `Vary` says. Default: false.
	Replay bool `json:"replay,omitempty"`

	// Refuses what other sites have a visitor's browser send for `GET` and `HEAD`, too:
	// pictures, scripts and frames that they embed, and links from there. Default:
	// false, these are charged.
	RefuseCrossOriginGet bool `json:"refuse_cross_origin_get,omitempty"`

	app    *App
	logger *zap.Logger
	tariff ledger.Tariff
}

// CaddyModule returns the Caddy module information.
func (Charge) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.dodo_charge",
		New: func() caddy.Module { return new(Charge) },
	}
}

const (
	defaultPriceHeader = "X-Charge-Credits"
	defaultHoldTTL     = 5 * time.Minute
	minHoldTTL         = time.Second
	maxHoldTTL         = 24 * time.Hour
)

// The words of price_round.
const (
	roundUp   = "up"
	roundDown = "down"
)

// The words of on_store_error.
const (
	failClosed = "closed"
	failOpen   = "open"
)

// The headers that tell the client.
const (
	headerCharged   = "X-Credits-Charged"
	headerRemaining = "X-Credits-Remaining"
	headerChargeID  = "X-Charge-Id"
)

// Provision sets up the handler.
func (h *Charge) Provision(ctx caddy.Context) (err error) {
	h.logger = ctx.Logger()
	if err := h.validate(); err != nil {
		return h.locate(err)
	}
	if h.PriceHeader == "" && h.Max > 0 {
		h.PriceHeader = defaultPriceHeader
	}
	h.PriceHeader = http.CanonicalHeaderKey(h.PriceHeader)
	if h.Max == 0 {
		h.Max = h.Credits
	}
	if h.HoldTTL == 0 {
		h.HoldTTL = config.Duration(defaultHoldTTL)
	}
	h.tariff = ledger.Tariff{Credits: h.Credits, Max: h.Max, Unit: h.PriceUnit, RoundDown: h.PriceRound == roundDown}
	if h.tariff.Statuses, err = ledger.NewStatuses(h.ChargeOn, h.ReleaseOn); err != nil {
		return h.locate(err)
	}
	if h.app, err = configuredApp(ctx); err != nil {
		return err
	}
	if h.OnStoreError == failOpen && h.app.MaxStale == 0 {
		return h.locate(errors.New("on_store_error open needs max_stale in the global option dodo: it is for accounts that are remembered"))
	}
	return nil
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9-]{1,100}$`)

// validate finds what is wrong with the settings themselves.
func (h *Charge) validate() error {
	switch ttl := time.Duration(h.HoldTTL); {
	case h.Credits < 0 || h.Credits > config.MaxCredits:
		return fmt.Errorf("credits must be from 0 to %d", config.MaxCredits)
	case h.Max < 0 || h.Max > config.MaxCredits:
		return fmt.Errorf("max must be from 1 to %d", config.MaxCredits)
	case h.Max != 0 && h.Max < h.Credits:
		return fmt.Errorf("max is %d, which is less than the %d credits that a request costs", h.Max, h.Credits)
	case h.Credits == 0 && h.Max == 0:
		return errors.New("a request that costs 0 credits needs max, the most that the app may ask")
	case ttl != 0 && (ttl < minHoldTTL || ttl > maxHoldTTL):
		return fmt.Errorf("hold_ttl must be from %v to %v, not %v", config.Duration(minHoldTTL), config.Duration(maxHoldTTL), h.HoldTTL)
	case h.PriceHeader != "" && !headerName.MatchString(h.PriceHeader):
		return fmt.Errorf("price_header %q is not the name of a header", h.PriceHeader)
	case strings.EqualFold(h.PriceHeader, headerCharged), strings.EqualFold(h.PriceHeader, headerRemaining), strings.EqualFold(h.PriceHeader, headerChargeID):
		return fmt.Errorf("price_header %s is what the client is told by", h.PriceHeader)
	case h.PriceUnit < 0 || h.PriceUnit > config.MaxCredits:
		return fmt.Errorf("price_unit must be from 1 to %d", config.MaxCredits)
	case h.PriceUnit > 0 && h.PriceHeader == "" && h.Max == 0:
		return errors.New("price_unit is for a price that the app names: it needs price_header")
	case h.PriceRound != "" && h.PriceRound != roundUp && h.PriceRound != roundDown:
		return fmt.Errorf("price_round must be %s or %s, not %q", roundUp, roundDown, h.PriceRound)
	case h.PriceRound != "" && h.PriceUnit == 0:
		return errors.New("round (price_round) needs unit (price_unit): whole credits are not rounded")
	case h.OnStoreError != "" && h.OnStoreError != failClosed && h.OnStoreError != failOpen:
		return fmt.Errorf("on_store_error must be %s or %s, not %q", failClosed, failOpen, h.OnStoreError)
	}
	if _, err := ledger.NewStatuses(h.ChargeOn, h.ReleaseOn); err != nil {
		return h.locate(err)
	}
	return h.Refusing.validate()
}

func (h *Charge) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	began := time.Now()
	v, err := visitOf(r, "dodo_charge")
	if err != nil {
		return err
	}
	waited := v.waited
	if httpapi.IsPreflight(r) {
		return next.ServeHTTP(v.site.api.PreflightOnly(w, r), r)
	}
	if isEarly(r) {
		return h.fail(w, r, v, httpapi.ErrTooEarly)
	}
	if err := v.site.api.CheckSpending(r, h.RefuseCrossOriginGet); err != nil {
		return h.fail(w, r, v, err)
	}
	key, err := httpapi.IdempotencyKey(r.Header)
	if err != nil {
		return h.fail(w, r, v, err)
	}
	if v.account == "" {
		return h.refuse(w, r, v, nobody.Snapshot, nil)
	}
	done := h.app.store.keep() // until the hold has ended
	var m *meter
	defer func() { // also when something panics
		if m == nil {
			done()
		} else {
			m.finish()
		}
	}()
	var record *recording
	if h.Replay && key != "" {
		record = newRecording(w, r)
	}
	charge, err := h.hold(w, r, v, key)
	if charge == nil {
		return err
	}
	m = newMeter(h, w, r, v, charge, done)
	m.record = record
	v.held(r, charge)
	if log, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		log.Add(zap.String("charge_id", charge.ID()))
	}
	metrics.handled(timedCharge, time.Since(began)-(v.waited-waited))
	m.err = next.ServeHTTP(m, r)
	m.returned = true
	if m.err == nil && !m.wrote { // net/http answers 200
		httpapi.MarkPrivate(m.Header())
	}
	return m.err
}

// hold sets aside what the request may cost. It returns no charge if the request does
// not get further: the error is the handler's own then, and nil if the answer is written.
func (h *Charge) hold(w http.ResponseWriter, r *http.Request, v *visit, key string) (*gateway.Charge, error) {
	ask := gateway.HoldRequest{Account: v.account, Credits: h.Max, TTL: time.Duration(h.HoldTTL), Key: key, Route: r.URL.EscapedPath()}
	if key != "" {
		ask.Fingerprint = fingerprint(r)
		if v.holds > 0 { // for another dodo_charge of this request; no key of a client has a space
			ask.Key += " " + strconv.Itoa(v.holds)
		}
	}
	if h.OnStoreError == failOpen {
		ask.Known = v.lastKnown()
	}
	ctx, setAside := startSpan(r.Context(), "dodogate.hold")
	charge, err := h.app.accounts.Hold(ctx, ask)
	setAside.end(err)
	if errors.Is(err, gateway.ErrInsufficient) {
		now, waiting, settleErr := v.settle(r)
		switch {
		case settleErr != nil:
			err = settleErr
		case now.Credits >= h.Max:
			charge, err = h.app.accounts.Hold(r.Context(), ask)
		case now.Owed():
			err = gateway.ErrUnconfirmed
		}
		if errors.Is(err, gateway.ErrInsufficient) {
			return nil, h.refuse(w, r, v, now.Snapshot, waiting)
		}
	}
	if err == nil {
		return charge, nil
	}
	finished, again := errors.AsType[*gateway.FinishedError](err)
	if again && h.Replay && replay(newPrivateAnswer(w, nil), r, finished) {
		metrics.charged("replayed", 0)
		return nil, nil //nolint:nilnil // the answer is written
	}
	return nil, h.fail(w, r, v, err)
}

// refuse answers a request that its account cannot pay.
func (h *Charge) refuse(w http.ResponseWriter, r *http.Request, v *visit, now entitlement.Snapshot, waiting []book.Order) error {
	return h.Refusing.refuse(w, r, v, httpapi.Refusal{
		Account: v.account, Doubt: v.doubt, Needs: entitlement.Requirement{Credits: h.Max}, Has: now, Pending: waiting, Target: targetOf,
	})
}

// fail answers a request that could not be charged.
func (h *Charge) fail(w http.ResponseWriter, r *http.Request, v *visit, err error) error {
	logUnjudged(r, h.logger, err, h.app.store.watch)
	return h.Refusing.fail(w, r, v, err)
}

// end ends a hold behind the answer, and logs an error if that fails.
func (h *Charge) end(ctx context.Context, charge *gateway.Charge, captured int64, receipt []byte, done func()) error {
	defer done()
	found, err := charge.End(ctx, captured, receipt)
	switch {
	case captured == 0:
		metrics.charged("released", 0)
		if err != nil {
			h.logger.Warn("credits that are held could not be given back; they come back when the hold runs out", zap.Error(err))
		}
	case err != nil:
		metrics.charged("lost", 0)
		h.logger.Error("a request could not be charged; what is held for it comes back when the hold runs out", zap.Int64("credits", captured), zap.Bool("late", charge.Deferred()), zap.Error(err))
	case !found:
		metrics.charged("lost", 0)
		h.logger.Error("a request could not be charged, because its hold had run out", zap.Int64("credits", captured))
	case charge.Deferred():
		metrics.charged("late", captured)
	default:
		metrics.charged("captured", captured)
	}
	return err
}

// parseCharge sets up the handler from Caddyfile tokens. The fields of [Charge]
// say what each option means. Syntax:
//
//	dodo_charge [<matcher>] <credits> {
//		charge_on      <status>...
//		release_on     <status>...
//		price_header   <name> {
//			unit  <credits per 1.00>
//			round up | down
//		}
//		max            <credits>
//		hold_ttl       <period>
//		on_store_error closed | open
//		replay
//		refuse_cross_origin_get
//		refuse         error
//	}
//
// A path for a matcher is read like that of `dodo_path`, in every spelling that some
// app might take for it. Without a matcher it is for every request that gets there.
func parseCharge(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	matchers, err := gateMatcher(h)
	if err != nil {
		return nil, err
	}
	if err := checkOrder(h.Dispenser); err != nil {
		return nil, err
	}
	handler := &Charge{Written: writtenAt(h.Dispenser)}
	if err := readCredits(h.Dispenser, 0, &handler.Credits); err != nil {
		return nil, err
	}
	once := seen{}
	for h.NextBlock(0) {
		if err := once.add(h.Dispenser); err != nil {
			return nil, err
		}
		if err := handler.parseOption(h.Dispenser); err != nil {
			return nil, err
		}
	}
	if err := handler.validate(); err != nil {
		return nil, h.WrapErr(err)
	}
	return h.NewRoute(matchers, handler), nil
}

func (h *Charge) parseOption(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "charge_on":
		return readMany(d, &h.ChargeOn)
	case "release_on":
		return readMany(d, &h.ReleaseOn)
	case "price_header":
		return h.parsePriceHeader(d)
	case "max":
		return readCredits(d, 1, &h.Max)
	case "hold_ttl":
		return readPeriod(d, &h.HoldTTL)
	case "on_store_error":
		return readOne(d, &h.OnStoreError)
	case "replay":
		h.Replay = true
		return readNone(d)
	case "refuse_cross_origin_get":
		h.RefuseCrossOriginGet = true
		return readNone(d)
	case "refuse":
		return h.parseRefuse(d)
	default:
		return unknown(d, "dodo_charge", "charge_on", "release_on", "price_header", "max", "hold_ttl", "on_store_error", "replay", "refuse_cross_origin_get", "refuse")
	}
}

// parsePriceHeader reads the name of the price header, and the block that may follow it.
func (h *Charge) parsePriceHeader(d *caddyfile.Dispenser) error {
	if err := readOne(d, &h.PriceHeader); err != nil {
		return err
	}
	once := seen{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := once.add(d); err != nil {
			return err
		}
		switch d.Val() {
		case "unit":
			if err := readCredits(d, 1, &h.PriceUnit); err != nil {
				return err
			}
		case "round":
			if err := readOne(d, &h.PriceRound); err != nil {
				return err
			}
		default:
			return unknown(d, "price_header", "unit", "round")
		}
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Charge)(nil)
	_ caddyhttp.MiddlewareHandler = (*Charge)(nil)
)
