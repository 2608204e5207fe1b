package caddymodule

import (
	"fmt"

	"github.com/spf13/cobra"
)

func assignCommand() *cobra.Command {
	cmd := actFlags(&cobra.Command{
		Use:   "assign <event or object> <account>",
		Short: "Says whose a purchase is",
		Long: `Gives a purchase that nothing leads to an account to one, and applies what is known of it.
It is named by an event that waits for its account, or by Dodo's id of a payment
(pay_...), a subscription (sub_...) or a customer (cus_...), whose later purchases then
find the account by themselves. Other ids need their kind: payment:<id>,
subscription:<id> or customer:<id>.

What has an account already keeps it, until unassign takes it away.`,
		Example: examples("assign msg_2xTqv8Rj alice --reason 'she sent the receipt'",
			"assign customer:cus_8Dk2 alice --reason 'her address at work'"),
		Args: assignArgs,
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runAssign(cmd, "/dodo/assign", args) }
	return cmd
}

func unassignCommand() *cobra.Command {
	cmd := actFlags(&cobra.Command{
		Use:   "unassign <event or object> <account>",
		Short: "Takes a purchase from the account that it was assigned to",
		Long: `Takes a purchase from the account that it was assigned to, or imported for: what it gave is
taken back, and is owed if it is spent. It is nobody's then: assign gives it to the right
account. Of a customer, only later purchases are meant; what they bought before stays.

What a checkout of this site sold proves its account, and comes back with its next event.`,
		Example: examples("unassign sub_9sQ4mZXe alice --reason 'it was the wrong alice'"),
		Args:    assignArgs,
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runAssign(cmd, "/dodo/unassign", args) }
	return cmd
}

func assignArgs(cmd *cobra.Command, args []string) error {
	if len(args) != 2 || args[0] == "" || args[1] == "" {
		return fmt.Errorf("an event or object and an account are needed: %s", cmd.UseLine())
	}
	return nil
}

func runAssign(cmd *cobra.Command, path string, args []string) error {
	reason, id, err := reasonAndID(cmd)
	if err != nil {
		return err
	}
	var did assigned
	printed, err := sendAct(cmd, path, id, assignment{What: args[0], Account: args[1], Reason: reason, ID: id}, &did)
	if err != nil || printed {
		return err
	}
	t := newTable(cmd.OutOrStdout())
	t.row("act", did.Act)
	t.row("object", did.Object)
	t.row("account", did.Account)
	if did.Unread != "" {
		t.row("not read yet", did.Unread)
	}
	return t.print()
}

func dismissCommand() *cobra.Command {
	cmd := actFlags(&cobra.Command{
		Use:   "dismiss <event id>",
		Short: "Says that nothing is to be done about a parked event",
		Long: `Says that nothing is to be done about a parked event, such as a purchase that another
system serves. It is parked no more, also when Dodo sends it again, and is deleted as
other events are. redrive <event id> takes it up again until then.`,
		Example: examples("dismiss msg_2xTqv8Rj --reason 'sold by the old shop'"),
		Args:    oneArg("event id"),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		reason, id, err := reasonAndID(cmd)
		if err != nil {
			return err
		}
		var e eventView
		printed, err := sendAct(cmd, pathOf("dodo", "dismiss", args[0]), id, dismissal{Reason: reason, ID: id}, &e)
		if err != nil || printed {
			return err
		}
		return printEvent(newTable(cmd.OutOrStdout()), e)
	}
	return cmd
}
