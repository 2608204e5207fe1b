package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/dodogate/dodogate/internal/dodosim"
)

func advanceCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "advance <duration>",
		Short: "Puts the simulator's time forward",
		Long: `Puts the simulator's time forward: subscriptions renew, trials and grace periods end,
disputes and credits expire, one after the other. Signatures keep the real time, and
waits for retries of webhooks do not get shorter.`,
		Example: examples("sim advance 31d", "sim advance 90m", "sim advance 1d12h"),
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			type advanced struct {
				happened
				Now time.Time `json:"now"`
			}
			did, printed, err := answer[advanced](cmd, http.MethodPost, "advance", map[string]string{"by": args[0]})
			if err != nil || printed {
				return err
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "It is %s now.\n", did.Now.UTC().Format(time.RFC3339)); err != nil {
				return err
			}
			return printEvents(cmd, did.Events)
		},
	}
}

func seedCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "seed <catalog file>",
		Short: "Adds or replaces products, add-ons and discounts",
		Long: `Adds the products, add-ons and discounts of a catalog file, YAML, JSON or a Caddyfile, or
replaces those of the same id or code. Open checkouts and subscriptions keep what they were
made with.`,
		Example: examples("sim seed catalog.yaml", "sim seed Caddyfile --price '1900 EUR'", "sim seed -  < catalog.json"),
		Args:    cobra.ExactArgs(1),
	}
	price := priceFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body, err := readSeed(cmd, args[0], *price)
		if err != nil {
			return err
		}
		raw, err := send(cmd, http.MethodPost, "catalog", "application/json", body)
		if err != nil {
			return err
		}
		var added struct{ Products, Addons, Discounts int }
		if flagText(cmd, "json") == "true" {
			return printJSON(cmd.OutOrStdout(), raw)
		}
		if err := json.Unmarshal(raw, &added); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d products, %d add-ons and %d discounts are there now.\n", added.Products, added.Addons, added.Discounts)
		return err
	}
	return cmd
}

// readSeed reads what is sold. Options are for the start of a simulator.
func readSeed(cmd *cobra.Command, name, price string) ([]byte, error) {
	var (
		c   dodosim.Catalog
		err error
	)
	if name == "-" {
		var file []byte
		if file, err = io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxAnswer)); err == nil {
			c, err = dodosim.ParseCatalog(file)
		}
	} else {
		c, err = readCatalog(name, price)
	}
	if err != nil {
		return nil, err
	}
	if c.Options != (dodosim.Behavior{}) {
		cmd.PrintErrln("The options of the catalog are left out: they are for the start of a simulator.")
		c.Options = dodosim.Behavior{}
	}
	return json.Marshal(c)
}

func dumpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "dump",
		Short: "Prints everything that the simulator knows",
		Long: `Prints everything that the simulator knows, as JSON: customers, payments, subscriptions,
events and the rest. No key and no secret is in it.`,
		Example: examples("sim dump", "sim dump | jq '.payments[].status'"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			raw, err := callControl(cmd, http.MethodGet, "state", nil)
			if err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), raw)
		},
	}
}

func resetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reset",
		Short: "Begins anew, as at the start",
		Long: `Begins anew, with the catalog, the time and the secrets of the start. What was sold is
forgotten, and webhooks that were not delivered never are.`,
		Example: examples("sim reset"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := callControl(cmd, http.MethodPost, "reset", nil)
			return err
		},
	}
}

func rotateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate-secret [<webhook endpoint>]",
		Short: "Gives a webhook endpoint another secret, and prints it",
		Long: `Gives a webhook endpoint another secret, and prints it. For 24 hours every webhook is
signed with both. Without an id it is the endpoint that the simulator was started with.`,
		Example: examples("sim rotate-secret", "sim rotate-secret whk_…"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			made, printed, err := answer[struct{ Secret string }](cmd, http.MethodPost, "webhooks/rotate", map[string]string{"endpoint": first(args)})
			if err != nil || printed {
				return err
			}
			if made.Secret == "" {
				return errors.New("the simulator made no secret")
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), printable(made.Secret))
			return err
		},
	}
}
