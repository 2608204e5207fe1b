package simulator

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/dodosim/simcontrol"
)

// serving is what the command is told.
type serving struct {
	listen, webhook, secret, key string
	readOnlyKey                  string
	catalog, price, publicURL    string
	set                          []string
}

func serveCommand(cmd *cobra.Command) {
	var s serving
	cmd.Use = "simulator"
	cmd.Example = examples(
		"simulator",
		"simulator --webhook http://localhost:3000/webhooks/dodo",
		"simulator --catalog catalog.yaml --option grace_period_days=3 --option dunning",
		"simulator --catalog Caddyfile --listen 127.0.0.1:9000",
	)
	cmd.Args = cobra.NoArgs
	flags := cmd.Flags()
	flags.StringVar(&s.listen, "listen", defaultListen, "Address to listen on")
	flags.StringVar(&s.webhook, "webhook", "", "URL where webhooks go; more can be made by the API")
	flags.StringVar(&s.secret, "webhook-secret", "", "What signs them: whsec_… (default: DODO_PAYMENTS_WEBHOOK_KEY or DODO_PAYMENTS_WEBHOOK_SECRET, or made up)")
	flags.StringVar(&s.key, "api-key", "", "The key that API calls must carry (default: DODO_PAYMENTS_API_KEY, or made up)")
	flags.StringVar(&s.readOnlyKey, "read-only-key", "", "Another key, with which one may only read")
	flags.StringVar(&s.catalog, "catalog", "", "What is sold: a YAML or JSON file, or a Caddyfile with its products (default: one product of each kind)")
	price := priceFlag(cmd)
	flags.StringVar(&s.publicURL, "public-url", "", "Where browsers reach it (default: as the API is called)")
	flags.StringArrayVar(&s.set, "option", nil, "A setting of the merchant's, name or name=value; can be repeated")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s.price = *price
		ctx, stop := signal.NotifyContext(contextOf(cmd), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return s.run(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	examplesFirst(cmd)
}

// run serves until the context ends.
func (s *serving) run(ctx context.Context, out, log io.Writer) error {
	made, err := s.makeUp()
	if err != nil {
		return err
	}
	options, err := s.options(log)
	if err != nil {
		return err
	}
	simulator, err := simcontrol.New(options)
	if err != nil {
		return err
	}
	defer func() { _ = simulator.Close() }()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.listen)
	if err != nil {
		return err
	}
	if !loopback(s.listen) {
		options.Logger.Warn("whoever reaches this address can pay with a test card: nothing that sells may trust it", "listen", s.listen)
	}
	if _, err := io.WriteString(out, s.introduction(listener.Addr(), made, options)); err != nil {
		return err
	}
	return serve(ctx, listener, simulator)
}

// madeUp says which secrets nobody gave.
type madeUp struct{ key, secret bool }

// makeUp fills in what was not given.
func (s *serving) makeUp() (madeUp, error) {
	var made madeUp
	s.key = cmp.Or(s.key, os.Getenv("DODO_PAYMENTS_API_KEY"))
	if made.key = s.key == ""; made.key {
		s.key = "sim_" + rand.Text()
	}
	if s.webhook == "" {
		if s.secret != "" {
			return made, errors.New("--webhook-secret needs --webhook")
		}
		return made, nil
	}
	s.secret = cmp.Or(s.secret, os.Getenv("DODO_PAYMENTS_WEBHOOK_KEY"), os.Getenv("DODO_PAYMENTS_WEBHOOK_SECRET"))
	if made.secret = s.secret == ""; made.secret {
		var secret [32]byte
		_, _ = rand.Read(secret[:]) // never fails (crypto/rand)
		s.secret = "whsec_" + base64.StdEncoding.EncodeToString(secret[:])
	}
	return made, nil
}

func (s *serving) options(log io.Writer) (dodosim.Options, error) {
	c, err := readCatalog(s.catalog, s.price)
	if err != nil {
		return dodosim.Options{}, err
	}
	for _, given := range s.set {
		name, value, _ := strings.Cut(given, "=")
		if err := c.Options.Set(name, value); err != nil {
			return dodosim.Options{}, fmt.Errorf("--option %s: %w", given, err)
		}
	}
	return dodosim.Options{
		APIKey: s.key, ReadOnlyKey: s.readOnlyKey, WebhookURL: s.webhook, WebhookSecret: s.secret, PublicURL: s.publicURL,
		Products: c.Products, Addons: c.Addons, Discounts: c.Discounts, Behavior: c.Options, TickEvery: renewalPace,
		Logger: slog.New(slog.NewTextHandler(log, nil)),
	}, nil
}

func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// introduction is what a developer needs to begin. Secrets that were given are not
// repeated.
func (s *serving) introduction(at net.Addr, made madeUp, options dodosim.Options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Dodo Payments is simulated at http://%s. No money moves.\n\n", at)
	fmt.Fprintf(&b, "  DODO_PAYMENTS_BASE_URL=http://%s\n", at)
	if made.key {
		fmt.Fprintf(&b, "  DODO_PAYMENTS_API_KEY=%s\n", s.key)
	} else {
		b.WriteString("  DODO_PAYMENTS_API_KEY: as you gave it\n")
	}
	switch {
	case s.webhook == "":
		b.WriteString("  Webhooks go nowhere: give --webhook, or POST /webhooks\n")
	case made.secret:
		fmt.Fprintf(&b, "  DODO_PAYMENTS_WEBHOOK_KEY=%s\n", s.secret)
	default:
		b.WriteString("  DODO_PAYMENTS_WEBHOOK_KEY: as you gave it\n")
	}
	b.WriteString("\nFor sale:\n")
	t := newTable(&b)
	for _, p := range options.Products {
		every := "once"
		if text, _ := p.Every.MarshalText(); p.Every != (dodosim.Period{}) {
			every = "every " + string(text)
		}
		t.row("  "+p.ID, p.Name, fmt.Sprintf("%d %s", p.Price, p.Currency), every)
	}
	_ = t.print()
	fmt.Fprintf(&b, "\nCards: %s is good, %s is declined.\n", dodosim.CardVisa, dodosim.CardDeclined)
	b.WriteString("What happens is up to you: " + strings.TrimSpace(examples("sim --help")) + "\n")
	return b.String()
}

// grace is how long requests may take to end.
const grace = 5 * time.Second

// serve answers until the context ends, and lets requests end then.
func serve(ctx context.Context, listener net.Listener, simulator http.Handler) error {
	server := &http.Server{Handler: simulator, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if server.Shutdown(ending) != nil {
		_ = server.Close() // those that never end
	}
	return nil
}
