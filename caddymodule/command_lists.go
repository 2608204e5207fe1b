package caddymodule

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Lists of everything are walked page by page, because a store has no order that people want.
// Only the rows that are shown are remembered.

const (
	listedRows    = 50
	maxListedRows = 10_000
)

func eventsCommand() *cobra.Command {
	parent := &cobra.Command{
		Use: "events list", Short: "Lists events of the journal", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	list := &cobra.Command{
		Use:   "list",
		Short: "Lists events of the journal, the newest first",
		Long: `Lists events of the journal, the newest first. It looks through the whole journal,
which takes about a second for 5,000 events.`,
		Example: examples("events list --account alice", "events list --state parked --since 24h", "events list --type refund.succeeded --limit 10"),
		Args:    cobra.NoArgs,
		RunE:    listJournal,
	}
	list.Flags().String("account", "", "Only events of this account")
	list.Flags().String("state", "", "Only events in this state: received, applied, ignored or parked")
	list.Flags().String("type", "", "Only events of this type, such as payment.succeeded")
	list.Flags().Duration("since", 0, "Only events that came first within this time, such as 24h")
	rowsFlag(list)
	parent.AddCommand(list)
	return parent
}

func rowsFlag(cmd *cobra.Command) {
	cmd.Flags().Int("limit", listedRows, "How many are shown, at most "+strconv.Itoa(maxListedRows))
}

// rowsOf is how many rows are to be shown.
func rowsOf(cmd *cobra.Command) (int, error) {
	n, err := cmd.Flags().GetInt("limit")
	if err == nil && (n < 1 || n > maxListedRows) {
		err = fmt.Errorf("--limit must be 1 to %d", maxListedRows)
	}
	return n, err
}

func listJournal(cmd *cobra.Command, _ []string) error {
	limit, err := rowsOf(cmd)
	if err != nil {
		return err
	}
	query := url.Values{"limit": {strconv.Itoa(maxAdminPage)}}
	for _, name := range []string{"account", "state", "type"} {
		if text := flagText(cmd, name); text != "" {
			query.Set(name, text)
		}
	}
	if since, err := cmd.Flags().GetDuration("since"); err != nil || since < 0 {
		return fmt.Errorf("--since must be a duration such as 24h: %w", err)
	} else if since > 0 {
		query.Set("since", time.Now().Add(-since).UTC().Format(time.RFC3339))
	}
	newest := firstRows[eventView]{
		most: limit, id: func(e eventView) string { return e.ID },
		compare: func(a, b eventView) int { return b.ReceivedAt.Compare(a.ReceivedAt) },
	}
	looked := 0
	for {
		page, err := fetch[journalPage](cmd, "/dodo/events", query)
		if err != nil {
			return err
		}
		looked += page.Looked
		newest.add(page.Events)
		if page.Next == "" {
			break
		}
		query.Set("after", page.Next)
	}
	if asJSON(cmd) {
		return printAsJSON(cmd, journalPage{Events: newest.rows, Looked: looked})
	}
	out := cmd.OutOrStdout()
	if len(newest.rows) == 0 {
		said := "The journal has no events yet."
		if looked > 0 {
			said = fmt.Sprintf("None of the %d events in the journal is such a one.", looked)
		}
		_, err := fmt.Fprintln(out, said)
		return err
	}
	t := newTable(out)
	t.row("RECEIVED", "EVENT", "TYPE", "STATE", "REASON", "OBJECT", "ACCOUNT", "ABOUT")
	for _, e := range newest.rows {
		t.row(e.ReceivedAt, e.ID, e.Type, e.State, e.Reason, e.Object, e.Account, e.About)
	}
	if err := t.print(); err != nil {
		return err
	}
	return newest.printCut(cmd)
}

func accountsCommand() *cobra.Command {
	parent := &cobra.Command{
		Use: "accounts list", Short: "Lists accounts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	list := &cobra.Command{
		Use:   "list",
		Short: "Lists accounts, by their ids",
		Long: `Lists accounts, by their ids, with what they can spend, hold and owe, and their plan.
It looks at all of them; ` + "`export`" + ` writes everything about them into files.`,
		Example: examples("accounts list --plan pro", "accounts list --owing", "accounts list --limit 1000"),
		Args:    cobra.NoArgs,
		RunE:    listAllAccounts,
	}
	list.Flags().String("plan", "", "Only accounts to which this plan gives access")
	list.Flags().Bool("owing", false, "Only accounts that owe credits")
	rowsFlag(list)
	parent.AddCommand(list)
	return parent
}

func listAllAccounts(cmd *cobra.Command, _ []string) error {
	limit, err := rowsOf(cmd)
	if err != nil {
		return err
	}
	plan, owing := flagText(cmd, "plan"), flagText(cmd, "owing") == "true"
	first := firstRows[exportedAccount]{
		most: limit, id: func(a exportedAccount) string { return a.Account },
		compare: func(a, b exportedAccount) int { return strings.Compare(a.Account, b.Account) },
	}
	query := url.Values{"limit": {strconv.Itoa(maxAdminPage)}}
	var damaged []string
	for {
		page, err := fetch[accountPage](cmd, "/dodo/accounts", query)
		if err != nil {
			return err
		}
		damaged = append(damaged, page.Damaged...)
		first.add(slices.DeleteFunc(page.Accounts, func(a exportedAccount) bool {
			has := plan == "" || slices.ContainsFunc(a.Plans, func(p planView) bool { return p.Plan == plan })
			return !has || owing && a.Owed == 0
		}))
		if page.Next == "" {
			break
		}
		query.Set("after", page.Next)
	}
	if asJSON(cmd) {
		return printAsJSON(cmd, accountPage{Accounts: first.rows, Damaged: damaged})
	}
	if len(first.rows)+len(damaged) == 0 {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "There is no such account.")
		return err
	}
	t := newTable(cmd.OutOrStdout())
	t.row("ACCOUNT", "CREDITS", "HELD", "OWED", "PLAN", "STATUS", "HAS PAID")
	for _, a := range first.rows {
		t.row(a.Account, a.Credits, a.Held, a.Owed, a.Plan, string(a.PlanStatus), a.HasPaid)
	}
	for _, account := range damaged {
		t.row(account, "damaged: see check")
	}
	if err := t.print(); err != nil {
		return err
	}
	return first.printCut(cmd)
}

// firstRows are the first rows of a list in an order, each once.
type firstRows[T any] struct {
	most    int
	id      func(T) string
	compare func(a, b T) int
	rows    []T
	cut     bool // there are more
}

func (n *firstRows[T]) add(rows []T) {
	n.rows = append(n.rows, rows...)
	slices.SortStableFunc(n.rows, func(a, b T) int {
		if c := n.compare(a, b); c != 0 {
			return c
		}
		return strings.Compare(n.id(a), n.id(b))
	})
	n.rows = slices.CompactFunc(n.rows, func(a, b T) bool { return n.id(a) == n.id(b) })
	if len(n.rows) > n.most {
		clear(n.rows[n.most:])
		n.rows, n.cut = n.rows[:n.most], true
	}
}

func (n *firstRows[T]) printCut(cmd *cobra.Command) error {
	if !n.cut {
		return nil
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "\nThere are more: --limit %d\n", min(10*n.most, maxListedRows))
	return err
}
