package caddymodule

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/gateway"
)

// parseGlobal sets up the app from the global option. The fields of [App] say
// what each option means, those of [RedisStore] and [BoltStore] what a store
// takes, parseProduct what a product does and parseAddon what an add-on does. Syntax:
//
//	dodo {
//		environment    test_mode | live_mode | <placeholder> [{ … }]
//		api_key        <key>
//		base_url       <url>
//		webhook_secret <secret>...
//		public_url     <url>
//		return_to      <url>...
//		store          redis [<url>] { … } | bolt [<file>]
//		product <name> { … }
//		addon   <name> { … }
//		plans          <name>...
//		signup_credits <number>
//		credits_low    <number>
//		checkout_metadata <name> [<placeholder>]
//		cache          <accounts>
//		max_stale      <period>
//		refund_policy  debt | floor
//		dispute_policy freeze | ignore
//		grace          <period>
//		proration      prorated_immediately | difference_immediately | full_immediately
//		budget         <calls a minute>
//		reconcile      off | { interval <period>, budget <calls a minute> }
//		keep_events    <period> [{ redact }]
//		proof_secret   <secret>...
//		site           <id> [{ also <id>..., unnamed }]
//		match_email    [<placeholder> verified <placeholder>]
//		business       <Dodo's id of a business>...
//	}
//
// product, addon and checkout_metadata can be repeated; api_key, webhook_secret and one product are required.
// Write secrets as {env.NAME} or {file./path}: what is written as {$NAME} or in
// full becomes part of the config that the admin API shows.
func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next() // the option's name
	at := writtenAt(d)
	if existing != nil {
		return nil, d.Err("the global option dodo is given twice")
	}
	if d.NextArg() {
		return nil, d.Err("the global option dodo takes no argument, only a block")
	}
	app, once := &App{Written: at}, seen{}
	var ranking caddyfile.Dispenser // where plans stands
	for d.NextBlock(0) {
		if d.Val() == "plans" {
			ranking = *d
		}
		if !slices.Contains([]string{"product", "addon", "checkout_metadata"}, d.Val()) {
			if err := once.add(d); err != nil {
				return nil, err
			}
		}
		if err := app.parseOption(d); err != nil {
			return nil, err
		}
	}
	if len(app.Plans) > 0 {
		if _, err := config.RankPlans(app.Products, app.Addons, app.Plans); err != nil {
			return nil, ranking.WrapErr(err)
		}
	}
	return httpcaddyfile.App{Name: "dodo", Value: caddyconfig.JSON(app, nil)}, nil
}

func (a *App) parseOption(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "environment":
		return a.parseEnvironment(d)
	case "api_key":
		return readOne(d, &a.APIKey)
	case "base_url":
		return readOne(d, &a.BaseURL)
	case "webhook_secret":
		return readMany(d, &a.WebhookSecrets)
	case "public_url":
		if err := readOne(d, &a.PublicURL); err != nil {
			return err
		}
		return checkSite(d, a.PublicURL)
	case "return_to":
		if err := readMany(d, &a.ReturnTo); err != nil {
			return err
		}
		return checkSite(d, "", a.ReturnTo...)
	case "store":
		return a.parseStore(d)
	case "product":
		return a.parseProduct(d)
	case "addon":
		return a.parseAddon(d)
	case "plans":
		return readMany(d, &a.Plans)
	case "checkout_metadata":
		return parseMetadata(d, &a.CheckoutMetadata)
	case "signup_credits":
		return readCredits(d, 0, &a.SignupCredits)
	case "credits_low":
		return readCredits(d, 1, &a.CreditsLow)
	case "cache":
		return readCount(d, mostCacheEntries, &a.CacheEntries)
	case "max_stale":
		if err := readPeriod(d, &a.MaxStale); err != nil {
			return err
		}
		if err := a.validateCache(); err != nil {
			return d.WrapErr(err)
		}
		return nil
	case "refund_policy":
		return parsePolicy(d, &a.RefundPolicy)
	case "dispute_policy":
		return parsePolicy(d, &a.DisputePolicy)
	case "grace":
		if err := readPeriod(d, &a.Grace); err != nil {
			return err
		}
		if err := a.validateGrace(); err != nil {
			return d.WrapErr(err)
		}
		return nil
	case "proration":
		return parsePolicy(d, &a.Proration)
	case "budget":
		if err := readCount(d, gateway.LargestBudget, &a.Budget); err != nil {
			return err
		}
		if err := a.validateBudget(); err != nil {
			return d.WrapErr(err)
		}
		return nil
	case "reconcile":
		return parseReconcile(d, &a.Reconcile)
	case "keep_events":
		return parseKeepEvents(d, &a.KeepEvents)
	case "proof_secret":
		return readMany(d, &a.ProofSecrets)
	case "site":
		return parseSiteID(d, &a.Site)
	case "match_email":
		var err error
		a.MatchEmail, err = parseMatchEmail(d)
		return err
	case "business":
		return parseBusinesses(d, &a.Businesses)
	default:
		return unknown(d, "dodo", "environment", "api_key", "base_url", "webhook_secret", "public_url", "return_to", "store", "product", "addon", "plans", "signup_credits", "credits_low", "checkout_metadata",
			"cache", "max_stale", "refund_policy", "dispute_policy", "grace", "proration", "budget", "reconcile", "keep_events", "proof_secret", "site", "business", "match_email")
	}
}

// policy is one of a few words.
type policy interface {
	~string
	Validate() error
}

func parsePolicy[P policy](d *caddyfile.Dispenser, target *P) error {
	var word string
	if err := readOne(d, &word); err != nil {
		return err
	}
	*target = P(word)
	if err := (*target).Validate(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// parseKeepEvents reads:
//
//	keep_events <period> {
//		redact
//	}
func parseKeepEvents(d *caddyfile.Dispenser, target *config.KeepEvents) error {
	if err := readPeriod(d, &target.Period); err != nil {
		return err
	}
	if err := target.Validate(); err != nil {
		return d.WrapErr(err)
	}
	once := seen{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := once.add(d); err != nil {
			return err
		}
		if d.Val() != "redact" {
			return unknown(d, "keep_events", "redact")
		}
		if err := readNone(d); err != nil {
			return err
		}
		target.Redact = true
	}
	return nil
}

// parseSiteID reads:
//
//	site <id> {
//		also <id>...
//		unnamed
//	}
func parseSiteID(d *caddyfile.Dispenser, target *config.SiteID) error {
	if err := readOne(d, &target.ID); err != nil {
		return err
	}
	once := seen{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := once.add(d); err != nil {
			return err
		}
		var err error
		switch d.Val() {
		case "also":
			err = readMany(d, &target.Also)
		case "unnamed":
			target.Unnamed = true
			err = readNone(d)
		default:
			err = unknown(d, "site", "also", "unnamed")
		}
		if err != nil {
			return err
		}
	}
	if strings.Contains(target.ID+strings.Join(target.Also, ""), "{") {
		return nil // placeholders are judged when they are resolved
	}
	if err := target.Validate(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func parseBusinesses(d *caddyfile.Dispenser, target *[]string) error {
	if err := readMany(d, target); err != nil {
		return err
	}
	for _, id := range *target {
		if err := config.CheckBusiness(id); err != nil && !strings.Contains(id, "{") {
			return d.WrapErr(err)
		}
	}
	return nil
}

// parseEnvironment reads:
//
//	environment test_mode | live_mode | <placeholder> {
//		<word> test_mode | live_mode
//	}
//
// It finds a wrong word at adapt time; a placeholder is judged when it is resolved. The
// block says what words of another program stand for.
func (a *App) parseEnvironment(d *caddyfile.Dispenser) error {
	if err := readOne(d, &a.Environment); err != nil {
		return err
	}
	isPlaceholder := lonePlaceholder.MatchString(a.Environment)
	switch word := a.Environment; {
	case word == string(dodo.TestMode), word == string(dodo.LiveMode), isPlaceholder:
	default:
		return d.Errf("environment must be %s or %s, not '%s'", dodo.TestMode, dodo.LiveMode, word)
	}
	once := seen{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if !isPlaceholder {
			return d.Errf("environment has words for a placeholder only, and '%s' is none", a.Environment)
		}
		if err := once.add(d); err != nil {
			return err
		}
		word, mode := d.Val(), ""
		if err := readOne(d, &mode); err != nil {
			return err
		}
		if err := checkModeWord(word, dodo.Mode(mode)); err != nil {
			return d.WrapErr(err)
		}
		if a.EnvironmentWords == nil {
			a.EnvironmentWords = make(map[string]dodo.Mode)
		}
		a.EnvironmentWords[word] = dodo.Mode(mode)
	}
	return nil
}

func (a *App) parseStore(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Err("store takes the name of a backend: redis or bolt")
	}
	name := d.Val()
	if name != "redis" && name != "bolt" {
		return unknownStore(d)
	}
	guest, err := caddyfile.UnmarshalModule(d, "dodo.stores."+name)
	if err != nil {
		return err
	}
	a.StoreRaw = caddyconfig.JSONModuleObject(guest, "backend", name, nil)
	return nil
}

// unknownStore refuses the word that d stands on. An address, which may hold a password,
// is not shown.
func unknownStore(d *caddyfile.Dispenser) error {
	name := d.Val()
	if rest := d.RemainingArgs(); len(rest) > 0 && (rest[0] == "redis" || rest[0] == "bolt") {
		return d.Errf("the name of the backend comes first: store %s, and then where it is", rest[0])
	}
	if strings.ContainsAny(name, ":@{") {
		return d.Err("the name of the backend comes first: store redis <url>, or store bolt <file>")
	}
	return d.Errf("unrecognized store '%s'; there are redis and bolt", name)
}

func (a *App) parseProduct(d *caddyfile.Dispenser) error {
	product, err := parseProduct(d)
	if err != nil {
		return err
	}
	if err := a.checkNew(d, "product", product.Name, product.ID); err != nil {
		return err
	}
	a.Products = append(a.Products, product)
	return nil
}

func (a *App) parseAddon(d *caddyfile.Dispenser) error {
	addon, err := parseAddon(d)
	if err != nil {
		return err
	}
	if err := a.checkNew(d, "addon", addon.Name, addon.ID); err != nil {
		return err
	}
	a.Addons = append(a.Addons, addon)
	return nil
}

// checkNew refuses a product or an add-on whose name or id the catalog has already.
func (a *App) checkNew(d *caddyfile.Dispenser, kind, name, id string) error {
	type entry struct{ kind, name, id string }
	var catalog []entry
	for _, p := range a.Products {
		catalog = append(catalog, entry{"product", p.Name, p.ID})
	}
	for _, addon := range a.Addons {
		catalog = append(catalog, entry{"addon", addon.Name, addon.ID})
	}
	for _, e := range catalog {
		switch {
		case e.kind == kind && e.name == name:
			return d.Errf("%s %s is given twice", kind, name)
		case e.id == id:
			return d.Errf("%s %s: id %s is %s %s already", kind, name, id, e.kind, e.name)
		}
	}
	return nil
}

// checkSite finds at adapt time what is wrong with addresses, those of placeholders
// excepted.
func checkSite(d *caddyfile.Dispenser, publicURL string, returnTo ...string) error {
	if strings.Contains(publicURL+strings.Join(returnTo, ""), "{") {
		return nil
	}
	if _, err := config.NewSite(publicURL, returnTo); err != nil {
		return d.WrapErr(err)
	}
	return nil
}
