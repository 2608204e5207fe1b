package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
)

func findCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "find <anything>",
		Short: "Finds the account that an id or e-mail address belongs to",
		Long: `Finds the account that an id or e-mail address belongs to, and says what it is about:

  an account's id
  an e-mail address that the login vouched for at a checkout, or with which a
  parked purchase was made
  Dodo's id of a payment, subscription, customer or checkout session
  an order (ord_...), an event (its webhook-id)
  the id of a charge, from the header X-Charge-Id or the access log

What was never seen says so, and the exit code is 1.`,
		Example: examples("find pay_7jqQWfFZo", "find ann@example.com", "find msg_2xTqv8Rj"),
		Args:    oneArg("id or address"),
		RunE: func(cmd *cobra.Command, args []string) error {
			wish, err := json.Marshal(wanted{args[0]})
			if err != nil {
				return err
			}
			raw, err := sendRaw(cmd, http.MethodPost, "/dodo/find", nil, bytes.NewReader(wish))
			if err != nil && strings.Contains(err.Error(), "never seen") {
				return errors.New(printable(fmt.Sprintf("never seen: %s: nothing with this name or id has come here", args[0])))
			}
			if err != nil {
				return err
			}
			if asJSON(cmd) {
				return printJSON(cmd.OutOrStdout(), raw)
			}
			var list matchList
			if err := json.Unmarshal(raw, &list); err != nil {
				return err
			}
			t := newTable(cmd.OutOrStdout())
			t.row("WHAT", "ID", "ACCOUNT", "ABOUT")
			for _, m := range list.Matches {
				t.row(m.What, m.ID, m.Account, m.About)
			}
			return t.print()
		},
	}
}
