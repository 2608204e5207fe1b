package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
)

// actFlags are those of every command by which an operator decides something.
func actFlags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().String("reason", "", "Why, on one line; it is kept with what was done (required)")
	cmd.Flags().String("id", "", "Makes it count once: repeat the command with the same id if no answer came (default: a new one, which is printed)")
	return cmd
}

// reasonAndID reads the flags of actFlags.
func reasonAndID(cmd *cobra.Command) (reason, id string, err error) {
	if reason = strings.TrimSpace(flagText(cmd, "reason")); reason == "" {
		return "", "", errors.New("--reason is needed: it is kept with what is done")
	}
	if id = flagText(cmd, "id"); id == "" {
		id = gateway.NewActID()
	}
	return reason, id, nil
}

// sendAct sends an act, and reads its answer unless that is printed as it is.
func sendAct(cmd *cobra.Command, path, id string, wish, answer any) (printed bool, err error) {
	body, err := json.Marshal(wish)
	if err != nil {
		return false, err
	}
	raw, err := sendRaw(cmd, http.MethodPost, path, nil, bytes.NewReader(body))
	if err != nil {
		if !strings.Contains(err.Error(), "HTTP 4") {
			err = fmt.Errorf("%w; to try again without doing it twice, add --id %s", err, id)
		}
		return false, err
	}
	if asJSON(cmd) {
		return true, printJSON(cmd.OutOrStdout(), raw)
	}
	return false, json.Unmarshal(raw, answer)
}

// runAct does what the arguments and flags of a command say, and prints what came of it.
func runAct(cmd *cobra.Command, kind entitlement.ActKind, wish actRequest) error {
	var err error
	if wish.Reason, wish.ID, err = reasonAndID(cmd); err != nil {
		return err
	}
	var did actView
	printed, err := sendAct(cmd, "/dodo/"+string(kind), wish.ID, wish, &did)
	if err != nil || printed {
		return err
	}
	return printAct(cmd.OutOrStdout(), did)
}

func printAct(w io.Writer, did actView) error {
	t := newTable(w)
	t.row("act", did.ID)
	t.row("did", did.Kind)
	t.row("account", did.Account)
	if did.Credits != 0 {
		t.row("credits", did.Credits)
	}
	if did.Plan != "" {
		t.row("plan", did.Plan)
	}
	if !did.ExpiresAt.IsZero() {
		t.row("expires", did.ExpiresAt)
	}
	if did.Object != "" {
		t.row("about", did.Object)
	}
	t.row("reason", did.Reason)
	t.row("before", worthText(did.Before))
	t.row("after", worthText(did.After))
	if did.Repeated {
		t.row("repeated", fmt.Sprintf("this id was used at %s: nothing was done now", cell(did.At)))
	}
	if did.New {
		t.row("note", "nothing was known of this account before: is the id right?")
	}
	return t.print()
}

func worthText(w entitlement.Worth) string {
	text := fmt.Sprintf("%d credits", w.Credits)
	if w.Held > 0 {
		text += fmt.Sprintf(", %d held", w.Held)
	}
	if w.Owed > 0 {
		text += fmt.Sprintf(", %d owed", w.Owed)
	}
	return text
}

// accountAndCredits reads the arguments of a command that needs both, or the account alone if
// optional.
func accountAndCredits(optional bool) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 2 || len(args) == 0 || len(args) == 1 && !optional || args[0] == "" {
			return fmt.Errorf("an account and a number of credits are needed: %s", cmd.UseLine())
		}
		if len(args) == 2 {
			if n, err := strconv.ParseInt(args[1], 10, 64); err != nil || n < 0 {
				return fmt.Errorf("credits must be a whole number: %.40q", args[1])
			}
		}
		return nil
	}
}

// creditsOf are the credits among arguments that were checked.
func creditsOf(args []string) (n int64) {
	if len(args) == 2 {
		n, _ = strconv.ParseInt(args[1], 10, 64)
	}
	return n
}

func grantCommand() *cobra.Command {
	cmd := actFlags(&cobra.Command{
		Use:   "grant <account> <credits>",
		Short: "Gives an account credits, or a plan",
		Long: `Gives an account credits, or a plan, or both. It is a grant like any other: it has an
entry in the ledger, is in an export, and stays through a rebuild. 0 credits need --plan.

undo takes it back.`,
		Example: examples("grant alice 50 --reason 'ticket 4711: the job failed'",
			"grant alice 0 --plan pro --expires 14d --reason 'a trial for a friend'"),
		Args: accountAndCredits(false),
	})
	cmd.Flags().String("expires", "", "When the credits and the plan end: a period such as 30d, or a time such as 2027-01-31T00:00:00Z (default: never)")
	cmd.Flags().String("plan", "", "A plan of the catalog")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runAct(cmd, entitlement.ActGrant, actRequest{
			Account: args[0], Credits: creditsOf(args), Expires: flagText(cmd, "expires"), Plan: flagText(cmd, "plan"),
		})
	}
	return cmd
}

func takeCommand() *cobra.Command {
	cmd := actFlags(&cobra.Command{
		Use:   "take <account> <credits>",
		Short: "Takes credits from an account",
		Long: `Takes credits from an account, those first that expire first, and none that a request
holds. If fewer can be spent, nothing is taken, unless --owe lets the rest be owed:
new credits pay that first.

undo gives them back.`,
		Example: examples("take alice 20 --reason 'granted twice by mistake'", "take alice 20 --owe --reason 'paid with a stolen card'"),
		Args:    accountAndCredits(false),
	})
	cmd.Flags().Bool("owe", false, "Let the account owe what it does not have")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runAct(cmd, entitlement.ActTake, actRequest{Account: args[0], Credits: creditsOf(args), Owe: flagText(cmd, "owe") == "true"})
	}
	return cmd
}

func waiveCommand() *cobra.Command {
	cmd := actFlags(&cobra.Command{
		Use:   "waive <account> [credits]",
		Short: "Forgives what an account owes",
		Long: `Forgives what an account owes, or a part of it: credits that were spent and then taken
back by a refund or a dispute.

undo lets it be owed again.`,
		Example: examples("waive alice --reason 'the refund was our fault'", "waive alice 10 --reason 'half of it'"),
		Args:    accountAndCredits(true),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runAct(cmd, entitlement.ActWaive, actRequest{Account: args[0], Credits: creditsOf(args)})
	}
	return cmd
}

func closeCommand() *cobra.Command {
	cmd := actFlags(&cobra.Command{
		Use:   "close-account <account>",
		Short: "Removes an account's personal data",
		Long: `Removes an account's personal data: the e-mail addresses of its orders, what leads from an
address to it, and personal data in the webhooks that changed it. What money needs
stays under the account's id: ledger, purchases, plans and acts. Nothing undoes it.

It ends no subscription and refunds nothing: do that in Dodo's dashboard first.`,
		Example: examples("close-account alice --reason 'she asked for it on 2026-11-30'",
			"close-account alice --email ann@example.com --reason 'she asked for it'"),
		Args: oneArg("account"),
	})
	cmd.Flags().StringArray("email", nil, "An e-mail address of the customer, besides those of orders. May be repeated")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		reason, id, err := reasonAndID(cmd)
		if err != nil {
			return err
		}
		emails, err := cmd.Flags().GetStringArray("email")
		if err != nil {
			return err
		}
		var did closedView
		printed, err := sendAct(cmd, "/dodo/close", id, closing{Account: args[0], Reason: reason, ID: id, Emails: emails}, &did)
		if err != nil || printed {
			return err
		}
		if err := printAct(cmd.OutOrStdout(), did.actView); err != nil {
			return err
		}
		t := newTable(cmd.OutOrStdout())
		t.row("orders", did.Orders)
		t.row("events", did.Events)
		t.row("addresses", did.Addresses)
		if did.More {
			t.row("note", "the account has more than was looked through; older orders or events may still have personal data")
		}
		return t.print()
	}
	return cmd
}

// twoArgs wants an account and one thing more.
func twoArgs(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 2 || args[0] == "" || args[1] == "" {
			return fmt.Errorf("an account and %s are needed: %s", what, cmd.UseLine())
		}
		return nil
	}
}

func undoCommand() *cobra.Command {
	cmd := actFlags(&cobra.Command{
		Use:   "undo <account> <act>",
		Short: "Undoes a grant, a take or a waive",
		Long: `Undoes a grant, a take or a waive. What was granted and is spent is owed then. What was
taken comes back as a grant without an expiry. acts lists what was done.

The opposite of assign is unassign, that of dismiss is redrive. Nothing undoes the release
of a hold or the closing of an account.`,
		Example: examples("undo alice act_4TRQ2H --reason 'it was the wrong alice'"),
		Args:    twoArgs("an act"),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runAct(cmd, entitlement.ActUndo, actRequest{Account: args[0], Act: args[1]})
	}
	return cmd
}

func actsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "acts <account>",
		Short: "Lists what operators did to an account, and why",
		Long: `Lists what operators did to an account, the newest first: by whom, if the admin API
verifies that, when, why, and what the account had before and after. The newest ` + strconv.Itoa(gateway.MaxActs) + ` are
listed; all are kept.`,
		Example: examples("acts alice"),
		Args:    oneArg("account"),
		RunE: func(cmd *cobra.Command, args []string) error {
			page, printed, err := call[actPage](cmd, http.MethodGet, pathOf("dodo", "accounts", args[0], "acts"), nil)
			if err != nil || printed {
				return err
			}
			if len(page.Acts) == 0 {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "Nothing was done by hand.")
				return err
			}
			t := newTable(cmd.OutOrStdout())
			fillActs(t, page.Acts)
			return t.print()
		},
	}
}

func fillActs(t table, acts []actView) {
	t.row("AT", "ACT", "DID", "CREDITS", "PLAN", "ABOUT", "BY", "BEFORE", "AFTER", "UNDONE BY", "REASON")
	for _, a := range acts {
		t.row(a.At, a.ID, a.Kind, a.Credits, a.Plan, a.Object, a.By, worthText(a.Before), worthText(a.After), a.Undone, a.Reason)
	}
}

func holdCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hold list|release",
		Short: "Lists what requests hold of an account, and gives it back",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	release := actFlags(&cobra.Command{
		Use:   "release <account> <hold>",
		Short: "Gives back what a request holds",
		Long: `Gives back what a request holds, before its hold_ttl is over. If that request is still
served, it is not charged: the log says so, and the metric of lost charges counts it.`,
		Example: examples("hold release alice charge:7HQ3 --reason 'the job hangs'"),
		Args:    twoArgs("a hold"),
	})
	release.RunE = func(cmd *cobra.Command, args []string) error {
		return runAct(cmd, entitlement.ActRelease, actRequest{Account: args[0], Hold: args[1]})
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "list <account>",
		Short: "Lists what requests hold of an account",
		Long: `Lists what requests hold of an account, those first that end first, up to a hundred. A hold
that is not renewed ends by itself.`,
		Example: examples("hold list alice"),
		Args:    oneArg("account"),
		RunE: func(cmd *cobra.Command, args []string) error {
			page, printed, err := call[holdPage](cmd, http.MethodGet, pathOf("dodo", "accounts", args[0], "holds"), nil)
			if err != nil || printed {
				return err
			}
			if len(page.Holds) == 0 {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "Nothing is held.")
				return err
			}
			t := newTable(cmd.OutOrStdout())
			t.row("HOLD", "CREDITS", "ENDS")
			for _, h := range page.Holds {
				t.row(h.Hold, h.Credits, h.ExpiresAt)
			}
			return t.print()
		},
	}, release)
	return cmd
}
