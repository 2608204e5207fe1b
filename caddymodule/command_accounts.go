package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func accountCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "account <account>",
		Short: "Shows what an account may do, and why",
		Long: `Shows what an account may do, and why: its credits by grant, the plans that payments
and subscriptions give, the orders that can still be paid, what was bought, and
the events about it that are parked. Looking changes nothing.

An account that was never seen is shown with nothing in it, and the exit code is 1; it
gets its sign-up credits at its first request.`,
		Example: examples("account alice", "account --json 'user/42'", "account -- -odd-"),
		Args:    oneArg("account"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, printed, err := call[accountView](cmd, http.MethodGet, pathOf("dodo", "accounts", args[0]), nil)
			if err != nil || printed {
				return err
			}
			if err := printAccount(cmd.OutOrStdout(), a); err != nil || a.Known {
				return err
			}
			return fmt.Errorf("never seen: %s", printable(args[0]))
		},
	}
}

func printAccount(w io.Writer, a accountView) error {
	if a.Verdict != "" {
		_, _ = fmt.Fprintf(w, "%s\n\n", printable(a.Verdict))
	}
	t := newTable(w)
	t.row("account", a.Account)
	t.row("credits", a.Credits)
	t.row("held", a.Held)
	t.row("owed", a.Owed)
	t.row("has paid", a.HasPaid)
	t.row("plan", a.Plan)
	t.row("plan status", a.PlanStatus)
	t.row("plan expires", a.PlanExpiresAt)
	t.row("newest payment", a.PaymentDate)
	t.row("ledger entries", a.LastEntry)
	if err := t.print(); err != nil {
		return err
	}
	for _, part := range []struct {
		title string
		empty bool
		fill  func(table)
	}{
		{"Plans that give access, highest first", len(a.Plans) == 0, a.fillPlans},
		{"Grants of which something is left, held or waiting", len(a.Grants) == 0, a.fillGrants},
		{"What else payments and subscriptions give", len(a.Standings) == 0, a.fillStandings},
		{"Orders that can still be paid", len(a.Pending) == 0, func(t table) { fillOrders(t, a.Pending) }},
		{"Orders", len(a.Purchases) == 0, func(t table) { fillOrders(t, a.Purchases) }},
		{"What operators did", len(a.Acts) == 0, func(t table) { fillActs(t, a.Acts) }},
		{"Parked events", len(a.Parked) == 0, func(t table) { fillEvents(t, a.Parked) }},
	} {
		if part.empty {
			_, _ = fmt.Fprintf(w, "\n%s: none\n", part.title)
			continue
		}
		_, _ = fmt.Fprintf(w, "\n%s:\n", part.title)
		t := newTable(w)
		part.fill(t)
		if err := t.print(); err != nil {
			return err
		}
	}
	if a.ParkedMore {
		_, _ = fmt.Fprintln(w, "So much is parked that there may be more about this account.")
	}
	return nil
}

func (a accountView) fillPlans(t table) {
	t.row("PLAN", "STATUS", "EXPIRES")
	for _, p := range a.Plans {
		t.row(p.Plan, p.Status, p.ExpiresAt)
	}
}

func (a accountView) fillGrants(t table) {
	t.row("GRANT", "AMOUNT", "LEFT", "HELD", "WAITING", "GIVEN", "EXPIRES")
	for _, g := range a.Grants {
		t.row(g.Grant, g.Amount, g.Left, g.Held, g.Waiting, g.CreatedAt, g.ExpiresAt)
	}
}

func (a accountView) fillStandings(t table) {
	t.row("OBJECT", "PAID", "HAS PAID", "PLAN", "STATUS", "ACCESS", "UNTIL")
	for _, s := range a.Standings {
		plans := []string{}
		for _, p := range s.Plans {
			lasts := "without end"
			if p.Seconds > 0 {
				lasts = "for " + (time.Duration(p.Seconds) * time.Second).String()
			}
			plans = append(plans, p.Plan+" "+lasts)
		}
		if s.Plan == "" {
			t.row(s.Object, s.PaidAt, s.Paid, strings.Join(plans, ", "), "", "", "")
			continue
		}
		t.row(s.Object, s.PaidAt, s.Paid, s.Plan, s.Status, s.Access, s.Until)
	}
}

func fillOrders(t table, orders []orderView) {
	t.row("ORDER", "MADE", "PRODUCT", "QUANTITY", "STATE", "PAYMENT", "EXPIRES")
	for _, o := range orders {
		t.row(o.Order, o.CreatedAt, o.Product, o.Quantity, o.State, o.Payment, o.ExpiresAt)
	}
}

func entriesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "entries <account>",
		Short: "Lists the lines of an account's ledger",
		Long: `Lists the lines of an account's ledger, the newest first: what changed, by how much,
and what caused it, which is an event's id, signup, confirm: and an order,
reconcile, or charge: and an id of the request that was charged.`,
		Example: examples("entries alice", "entries alice --limit 20 --before 812"),
		Args:    oneArg("account"),
	}
	pageFlags(cmd, "before", "Only entries with a lower number")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		page, printed, err := call[entryPage](cmd, http.MethodGet, pathOf("dodo", "accounts", args[0], "entries"), pageOf(cmd, "before"))
		if err != nil || printed {
			return err
		}
		out := cmd.OutOrStdout()
		if len(page.Entries) == 0 {
			_, err := fmt.Fprintln(out, "There are no entries.")
			return err
		}
		t := newTable(out)
		t.row("ENTRY", "AT", "KIND", "AMOUNT", "BALANCE", "GRANT", "CAUSE")
		for _, e := range page.Entries {
			t.row(e.Seq, e.At, e.Kind, e.Amount, e.Balance, e.Grant, e.Cause)
		}
		if err := t.print(); err != nil {
			return err
		}
		if page.Next != 0 {
			_, err = fmt.Fprintf(out, "\nThere are more: --before %d\n", page.Next)
		}
		return err
	}
	return cmd
}
