package caddymodule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
)

func assignCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "assign <event or object> <account>",
		Short: "Says whose a purchase is",
		Long: `Gives a purchase that nothing leads to an account to one, and applies what is known of it.
It is named by an event that waits for its account, or by Dodo's id of a payment
(pay_...), a subscription (sub_...) or a customer (cus_...), whose later purchases then
find the account by themselves. Other ids need their kind: payment:<id>,
subscription:<id> or customer:<id>.

What has an account already keeps it.`,
		Example: examples("assign msg_2xTqv8Rj alice", "assign sub_9sQ4mZXe alice", "assign customer:cus_8Dk2 alice"),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 || args[0] == "" || args[1] == "" {
				return fmt.Errorf("an event or object and an account are needed: %s", cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := json.Marshal(assignment{What: args[0], Account: args[1]})
			if err != nil {
				return err
			}
			raw, err := sendRaw(cmd, http.MethodPost, "/dodo/assign", nil, bytes.NewReader(body))
			if err != nil {
				return err
			}
			if asJSON(cmd) {
				return printJSON(cmd.OutOrStdout(), raw)
			}
			var did assigned
			if err := json.Unmarshal(raw, &did); err != nil {
				return err
			}
			t := newTable(cmd.OutOrStdout())
			t.row("object", did.Object)
			t.row("account", did.Account)
			if did.Unread != "" {
				t.row("not read yet", did.Unread)
			}
			return t.print()
		},
	}
}

func dismissCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "dismiss <event id>",
		Short: "Says that nothing is to be done about a parked event",
		Long: `Says that nothing is to be done about a parked event, such as a purchase that another
system serves. It is parked no more, also when Dodo sends it again, and is deleted as
other events are. redrive <event id> takes it up again until then.`,
		Example: examples("dismiss msg_2xTqv8Rj"),
		Args:    oneArg("event id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, printed, err := call[eventView](cmd, http.MethodPost, pathOf("dodo", "dismiss", args[0]), nil)
			if err != nil || printed {
				return err
			}
			return printEvent(newTable(cmd.OutOrStdout()), e)
		},
	}
}
