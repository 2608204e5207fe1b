package simulator

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/spf13/cobra"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// builtIn is the catalog of those who have none.
//
//go:embed catalog.yaml
var builtIn []byte

func priceFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("price", "1000 USD", "Price of products of a Caddyfile that says none: minor units and currency")
}

// isCaddyfile goes by the name, as Caddy does.
func isCaddyfile(name string) bool {
	base := filepath.Base(name)
	return strings.HasPrefix(base, "Caddyfile") || strings.EqualFold(filepath.Ext(base), ".caddyfile")
}

// readCatalog reads YAML, JSON or a Caddyfile; without a name, what is built in.
func readCatalog(name, price string) (dodosim.Catalog, error) {
	if name == "" {
		return dodosim.ParseCatalog(builtIn)
	}
	file, err := os.ReadFile(name)
	if err != nil {
		return dodosim.Catalog{}, err
	}
	if isCaddyfile(name) {
		return catalogOfCaddyfile(name, file, price)
	}
	c, err := dodosim.ParseCatalog(file)
	if err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// sellable is what the global option dodo says of a product. What it costs is only known
// at Dodo.
type sellable struct {
	Name        string          `json:"name"`
	ID          string          `json:"id"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Plan        string          `json:"plan"`
	Lasts       json.RawMessage `json:"lasts"`
}

// catalogOfCaddyfile is what the simulators of a Caddyfile sell, with their prices, and
// what its catalog of products names besides, at a price. Of the latter, a plan that does
// not end by itself is sold by the month.
func catalogOfCaddyfile(name string, file []byte, price string) (dodosim.Catalog, error) {
	var c dodosim.Catalog
	adapter := caddyconfig.GetAdapter("caddyfile")
	if adapter == nil {
		return c, errors.New("this binary does not read Caddyfiles")
	}
	adapted, _, err := adapter.Adapt(file, map[string]any{"filename": name})
	if err != nil {
		return c, err
	}
	var config struct {
		Apps struct {
			Dodo struct {
				Products []sellable `json:"products"`
			} `json:"dodo"`
			HTTP any `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(adapted, &config); err != nil {
		return c, err
	}
	if err := addSimulated(&c, config.Apps.HTTP); err != nil {
		return c, err
	}
	amount, currency, err := parsePrice(price)
	if err != nil {
		return c, err
	}
	for _, s := range config.Apps.Dodo.Products {
		p, err := s.product(amount, currency)
		if err != nil {
			return c, fmt.Errorf("%s: %w", name, err)
		}
		if !sells(c, p.ID) {
			c.Products = append(c.Products, p)
		}
	}
	if len(c.Products) == 0 {
		return c, fmt.Errorf("%s names no product: neither the global option dodo nor a dodo_simulator has any", name)
	}
	return c, nil
}

// addSimulated finds the handlers in a config, however deep.
func addSimulated(c *dodosim.Catalog, node any) error {
	switch node := node.(type) {
	case []any:
		for _, item := range node {
			if err := addSimulated(c, item); err != nil {
				return err
			}
		}
	case map[string]any:
		if node["handler"] == "dodo_simulator" {
			return addHandler(c, node)
		}
		for _, item := range node {
			if err := addSimulated(c, item); err != nil {
				return err
			}
		}
	}
	return nil
}

func addHandler(c *dodosim.Catalog, node map[string]any) error {
	raw, err := json.Marshal(node)
	if err != nil {
		return err
	}
	var h Handler
	if err := json.Unmarshal(raw, &h); err != nil {
		return err
	}
	options := dodosim.Options{Products: h.Products, Addons: h.Addons, Discounts: h.Discounts, Behavior: h.Options}
	if h.Catalog != "" {
		if err := h.addCatalog(&options); err != nil {
			return err
		}
	}
	for _, p := range options.Products {
		if !sells(*c, p.ID) {
			c.Products = append(c.Products, p)
		}
	}
	c.Addons = append(c.Addons, options.Addons...)
	c.Discounts = append(c.Discounts, options.Discounts...)
	c.Options = options.Behavior
	return nil
}

func sells(c dodosim.Catalog, id string) bool {
	for _, p := range c.Products {
		if p.ID == id {
			return true
		}
	}
	return false
}

func (s sellable) product(price int, currency string) (dodosim.Product, error) {
	id, err := caddy.NewReplacer().ReplaceOrErr(s.ID, true, true)
	if err != nil {
		return dodosim.Product{}, fmt.Errorf("the id of product %s has a placeholder that is unset or empty", s.Name)
	}
	p := dodosim.Product{ID: id, Name: s.Title, Description: s.Description, Price: price, Currency: currency}
	if p.Name == "" {
		p.Name = s.Name
	}
	if s.Plan != "" && s.Lasts == nil {
		p.Every = dodosim.Period{Count: 1, Interval: dodosim.Month}
	}
	return p, nil
}

func parsePrice(text string) (amount int, currency string, err error) {
	minor, currency, ok := strings.Cut(text, " ")
	price, err := strconv.ParseUint(minor, 10, 31)
	if !ok || err != nil || currency == "" {
		return 0, "", fmt.Errorf("price %q is not like 1000 USD", text)
	}
	return int(price), currency, nil
}
