package dodosim

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Simulator simulates Dodo Payments. Make one with [New], serve it as a handler, and
// [Simulator.Close] it. It is safe for concurrent use.
type Simulator struct {
	options  Options // complete, and never changed
	business string
	brand    string
	started  time.Time
	handler  http.Handler
	known    []apiCall // the routes; never changed
	log      atomic.Pointer[slog.Logger]

	// ctx ends with Close; background counts what Close waits for; slots bounds how many
	// webhooks are on the wire at a time.
	ctx        context.Context
	cancel     context.CancelFunc
	background sync.WaitGroup
	slots      chan struct{}

	ahead atomic.Int64 // nanoseconds that Advance has added to the clock

	mu                sync.Mutex        // guards all below and what it points to
	offers            []*catalogProduct // the catalog, in its order
	extras            []*catalogAddon   // the add-ons, in the order of the catalog
	entitlements      []entitlement     // what products can grant
	sessions          map[string]*session
	payments          map[string]*payment
	paymentOrder      []*payment // oldest first, like every order here
	subscriptions     map[string]*subscription
	subscriptionOrder []*subscription
	refunds           map[string]*refund
	refundOrder       []*refund
	disputes          map[string]*dispute
	disputeOrder      []*dispute
	payouts           []*payout
	grants            []*grant          // oldest first
	portals           map[string]portal // by the end of their link
	customers         map[string]customer
	customerOrder     []string                // their ids
	methods           map[string][]*method    // by customer
	wallets           map[string]*wallet      // by customer
	coupons           []*coupon               // oldest first; each is replaced when it changes
	redemptions       map[string]*redemptions // by discount

	licenses       []*license        // oldest first
	credits        []*credit         // oldest first
	catalogCredits map[string]string // their ids, by the name that the catalog has for them
	accounts       []*creditAccount  // oldest first
	usage          []usageEvent      // in the order of receipt
	usageIDs       map[string]bool

	hooks    []*webhookEndpoint // webhook endpoints, oldest first
	hookKeys map[string]string  // the endpoint of each idempotency key

	deadlines []deadline // in the order of their times

	happenings    int
	events        []*event
	deliveries    []Delivery
	unsettled     int           // events with attempts ahead of them
	released      chan struct{} // closed unless webhooks are held
	progress      chan struct{} // closed and replaced when an event changes state
	webhookFaults *faultSource  // of events to come

	calledAt string // the public address at which the API was last called

	fault       Fault
	faultsLeft  int
	faultChance *rand.Rand
	callers     map[string]*caller // by address; "" is whoever has the key
	calls       map[apiCall]int
}

// New makes a simulator, or returns an error that names the unusable option.
func New(options Options) (*Simulator, error) {
	options, err := options.complete()
	if err != nil {
		return nil, err
	}
	s := &Simulator{
		options:       options,
		business:      businessOf(options.APIKey),
		brand:         newID("brnd_"),
		slots:         make(chan struct{}, maxOnTheWire),
		sessions:      make(map[string]*session),
		payments:      make(map[string]*payment),
		subscriptions: make(map[string]*subscription),
		refunds:       make(map[string]*refund),
		disputes:      make(map[string]*dispute),
		portals:       make(map[string]portal),
		customers:     make(map[string]customer),
		methods:       make(map[string][]*method),
		wallets:       make(map[string]*wallet),
		redemptions:   make(map[string]*redemptions),
		released:      make(chan struct{}),
		progress:      make(chan struct{}),
		calls:         make(map[apiCall]int),
		callers:       make(map[string]*caller),
		usageIDs:      make(map[string]bool),
		hookKeys:      make(map[string]string),
		webhookFaults: newFaultSource(Mischief{}),
	}
	s.started = s.now()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.log.Store(options.Logger)
	close(s.released)
	s.addToCatalog(options.Products, options.Addons, options.Discounts)
	if options.WebhookURL != "" {
		s.addHook(options.WebhookURL, options.WebhookSecret)
	}
	if options.PayoutEvery != (Period{}) {
		s.payOutRegularly(s.started)
	}
	s.handler = s.routes()
	if options.TickEvery > 0 {
		s.background.Go(func() { s.tickOnItsOwn(options.TickEvery) })
	}
	return s, nil
}

// Close stops the sending of webhooks, abandons undelivered ones, and waits until all its
// goroutines have ended. The handler still answers afterwards; no event is sent.
func (s *Simulator) Close() error {
	s.mu.Lock() // no event can start its sender between these two
	s.cancel()
	s.mu.Unlock()
	s.background.Wait()
	return nil
}

// SetLogger replaces Options.Logger, for a host that outlives its logger. nil disables
// logging.
func (s *Simulator) SetLogger(logger *slog.Logger) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s.log.Store(logger)
}

// ServeHTTP serves Dodo's API and the hosted checkout page. Answers are dated in simulated
// time, like the objects in them.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.now().Format(http.TimeFormat))
	s.handler.ServeHTTP(w, r)
}

func (s *Simulator) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /session/{id}", s.showPage)
	mux.Handle("POST /session/{id}", fromItself(s.submitPage))
	mux.HandleFunc("GET /portal/{id}", s.showPortal)
	mux.Handle("POST /portal/{id}", fromItself(s.submitPortal))
	for _, route := range []struct {
		method, path string
		do           endpoint
	}{
		{"POST", "/checkouts", s.createCheckout},
		{"GET", "/checkouts/{id}", s.getCheckout},
		{"POST", "/checkouts/preview", s.previewCheckout},
		{"GET", "/payments", s.listPayments},
		{"POST", "/payments", s.createPayment},
		{"GET", "/payments/{id}", s.getPayment},
		{"GET", "/payments/{id}/line-items", s.listLineItems},
		{"GET", "/products", s.listProducts},
		{"GET", "/products/{id}", s.getProduct},
		{"GET", "/addons", s.listAddons},
		{"POST", "/addons", s.createAddon},
		{"GET", "/addons/{id}", s.getAddon},
		{"PATCH", "/addons/{id}", s.patchAddon},
		{"GET", "/subscriptions", s.listSubscriptions},
		{"POST", "/subscriptions", s.createSubscription},
		{"GET", "/subscriptions/{id}", s.getSubscription},
		{"PATCH", "/subscriptions/{id}", s.patchSubscription},
		{"POST", "/subscriptions/{id}/change-plan", s.changePlan},
		{"DELETE", "/subscriptions/{id}/change-plan/scheduled", s.unschedulePlan},
		{"POST", "/subscriptions/{id}/charge", s.chargeOnDemand},
		{"GET", "/subscriptions/{id}/credit-usage", s.getCreditUsage},
		{"POST", "/subscriptions/{id}/change-plan/preview", s.previewPlan},
		{"POST", "/subscriptions/{id}/update-payment-method", s.updateMethod},
		{"GET", "/discounts", s.listDiscounts},
		{"POST", "/discounts", s.createDiscount},
		{"GET", "/discounts/{id}", s.getDiscount},
		{"PATCH", "/discounts/{id}", s.patchDiscount},
		{"DELETE", "/discounts/{id}", s.deleteDiscount},
		{"GET", "/discounts/{id}/{part}", s.getDiscountPart}, // code/{code}, or {id}/customers
		{"POST", "/discounts/{id}/customers", s.addDiscountCustomers},
		{"DELETE", "/discounts/{id}/customers/{customer}", s.removeDiscountCustomer},
		{"GET", "/webhooks", s.listHooks},
		{"POST", "/webhooks", s.createHook},
		{"GET", "/webhooks/{id}", s.getHook},
		{"PATCH", "/webhooks/{id}", s.patchHook},
		{"DELETE", "/webhooks/{id}", s.deleteHook},
		{"GET", "/webhooks/{id}/secret", s.getHookSecret},
		{"GET", "/webhooks/{id}/headers", s.getHookHeaders},
		{"PATCH", "/webhooks/{id}/headers", s.patchHookHeaders},
		{"GET", "/customers/{id}/credit-entitlements", s.listCustomerCredits},
		{"GET", "/credit-entitlements", s.listCredits},
		{"POST", "/credit-entitlements", s.createCredit},
		{"GET", "/credit-entitlements/{id}", s.getCredit},
		{"PATCH", "/credit-entitlements/{id}", s.patchCredit},
		{"DELETE", "/credit-entitlements/{id}", s.deleteCredit},
		{"POST", "/credit-entitlements/{id}/undelete", s.undeleteCredit},
		{"GET", "/credit-entitlements/{id}/balances", s.listCreditBalances},
		{"GET", "/credit-entitlements/{id}/balances/{customer}", s.getCreditBalance},
		{"GET", "/credit-entitlements/{id}/balances/{customer}/grants", s.listCreditGrants},
		{"GET", "/credit-entitlements/{id}/balances/{customer}/ledger", s.listCreditEntries},
		{"POST", "/credit-entitlements/{id}/balances/{customer}/ledger-entries", s.createCreditEntry},
		{"GET", "/meters", s.listMeters},
		{"GET", "/meters/{id}", s.getMeter},
		{"GET", "/events", s.listUsage},
		{"GET", "/events/{id}", s.getUsage},
		{"POST", "/events/ingest", s.ingest},
		{"GET", "/license_keys", s.listLicenses},
		{"POST", "/license_keys", s.importLicense},
		{"GET", "/license_keys/{id}", s.getLicense},
		{"PATCH", "/license_keys/{id}", s.patchLicense},
		{"GET", "/license_key_instances", s.listInstances},
		{"GET", "/license_key_instances/{id}", s.getInstance},
		{"PATCH", "/license_key_instances/{id}", s.patchInstance},
		{"POST", "/licenses/validate", s.validateLicense},
		{"POST", "/licenses/activate", s.activateLicense},
		{"POST", "/licenses/deactivate", s.deactivateLicense},
		{"GET", "/invoices/payments/{id}", s.getPaymentInvoice},
		{"GET", "/invoices/refunds/{id}", s.getRefundInvoice},
		{"GET", "/refunds", s.listRefunds},
		{"POST", "/refunds", s.createRefund},
		{"GET", "/refunds/{id}", s.getRefund},
		{"GET", "/disputes", s.listDisputes},
		{"GET", "/disputes/{id}", s.getDispute},
		{"GET", "/entitlements", s.listEntitlements},
		{"GET", "/entitlements/{id}", s.getEntitlement},
		{"GET", "/entitlements/{id}/grants", s.listGrants},
		{"DELETE", "/entitlements/{id}/grants/{grant}", s.revokeGrant},
		{"GET", "/customers", s.listCustomers},
		{"POST", "/customers", s.createCustomer},
		{"GET", "/customers/{id}", s.getCustomer},
		{"PATCH", "/customers/{id}", s.patchCustomer},
		{"POST", "/customers/{id}/customer-portal/session", s.openPortal},
		{"GET", "/customers/{id}/entitlements", s.listCustomerEntitlements},
		{"GET", "/customers/{id}/entitlement-grants", s.listCustomerGrants},
		{"GET", "/customers/{id}/payment-methods", s.listMethods},
		{"DELETE", "/customers/{id}/payment-methods/{method}", s.deleteMethod},
		{"GET", "/customers/{id}/wallets", s.listWallets},
		{"GET", "/customers/{id}/wallets/ledger-entries", s.listWalletEntries},
		{"POST", "/customers/{id}/wallets/ledger-entries", s.createWalletEntry},
	} {
		s.known = append(s.known, apiCall{route.method, route.path})
		mux.HandleFunc(route.method+" "+route.path, s.api(apiCall{route.method, route.path}, route.do))
	}
	unknown := s.api(apiCall{}, func(*http.Request) (any, error) {
		return nil, refuse(codeNotFound, "the simulator has no such route")
	})
	mux.HandleFunc("GET /products/short_links", unknown) // not the product of that name
	mux.HandleFunc("/", unknown)
	return mux
}

func (s *Simulator) logger() *slog.Logger { return s.log.Load() }

// publicURL is the beginning of links to the simulator, without a trailing slash.
func (s *Simulator) publicURL(r *http.Request) string {
	switch {
	case s.options.PublicURL != "":
		return s.options.PublicURL
	case r.TLS != nil:
		return "https://" + r.Host
	default:
		return "http://" + r.Host
	}
}
