package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func reconcileCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reconcile",
		Short: "Asks Dodo what its webhooks did not tell",
		Long: `Asks Dodo now what happened since the last pass over its lists, applies what was
missed, and then tries parked events again. It waits until the pass is over; when
it is interrupted itself, the pass goes on.`,
		Example: examples("reconcile", "reconcile --status"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if flagText(cmd, "status") == "true" {
				return printPasses(cmd)
			}
			return runPass(cmd, "/dodo/reconcile")
		},
	}
	cmd.Flags().Bool("status", false, "Begin nothing; list the pass that runs, those before it, and how far each of Dodo's lists was read")
	return cmd
}

func rebuildCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rebuild [<account>]",
		Short: "Asks Dodo for everything that was ever bought, or mends one account",
		Long: `Asks Dodo for everything that was ever bought through this gateway and applies what
the store does not have. It takes about one call for each purchase, within the
budget of reconcile, and goes on after a change of the config or a restart.

It brings back what was bought and taken back, not what was spent.

With an account it mends the damaged records of that one: the ledger by what of its
entries and grants can be read, and the rest by what Dodo says. It says what could
not be known. If Dodo does not answer, nothing is changed.`,
		Example: examples("rebuild", "rebuild alice", "reconcile --status"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return rebuildAccount(cmd, args[0])
			}
			return runPass(cmd, "/dodo/rebuild")
		},
	}
}

func printPasses(cmd *cobra.Command) error {
	list, printed, err := call[passList](cmd, http.MethodGet, "/dodo/reconcile", nil)
	if err != nil || printed {
		return err
	}
	t := newTable(cmd.OutOrStdout())
	t.row("PASS", "KIND", "STATE", "BEGAN", "ENDED", "SEEN", "READ", "APPLIED", "NOT APPLIED", "ERROR")
	for _, p := range list.Passes {
		t.row(p.Pass, p.Kind, p.State, p.BeganAt, p.EndedAt, p.Seen, p.Read, p.Applied, p.Unapplied, p.Error)
	}
	if err := t.print(); err != nil {
		return err
	}
	return printLists(cmd, list)
}

// printLists shows how far each of Dodo's lists was read, and what could not be read.
func printLists(cmd *cobra.Command, list passList) error {
	out := cmd.OutOrStdout()
	_, _ = fmt.Fprintln(out)
	t := newTable(out)
	t.row("LIST", "READ TO", "WHOLE LIST", "GAPS", "ERROR")
	for _, l := range list.Lists {
		whole := "never"
		switch {
		case l.Walking && l.WalkedTo.IsZero():
			whole = "under way"
		case l.Walking:
			whole = "up to " + l.WalkedTo.Format(time.RFC3339)
		case !l.FullAt.IsZero():
			whole = l.FullAt.Format(time.RFC3339)
		}
		t.row(string(l.List), l.MarkAt, whole, l.Gaps, l.Error)
	}
	if err := t.print(); err != nil {
		return err
	}
	if list.UnreadCount > 0 {
		_, _ = fmt.Fprintf(out, "\n%d objects could not be read or applied, and are tried again:\n", list.UnreadCount)
		for _, name := range list.Unread {
			_, _ = fmt.Fprintln(out, "  "+printable(name))
		}
	}
	return nil
}

// runPass asks for a pass, waits until it is over, and prints what it did.
func runPass(cmd *cobra.Command, path string) error {
	raw, err := callRaw(cmd, http.MethodPost, path, nil)
	if err != nil {
		return err
	}
	var p passView
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	if p, err = waitForPass(cmd, p); err != nil {
		return err
	}
	if asJSON(cmd) {
		raw, err = json.Marshal(p)
		if err == nil {
			err = printJSON(cmd.OutOrStdout(), raw)
		}
	} else {
		t := newTable(cmd.OutOrStdout())
		t.row("seen", p.Seen)
		t.row("read", p.Read)
		t.row("applied", p.Applied)
		t.row("not applied", p.Unapplied)
		t.row("foreign", p.Foreign)
		if len(p.Damaged) > 0 {
			t.row("damaged", strings.Join(p.Damaged, ", "))
		}
		err = t.print()
	}
	if err == nil && p.State == passFailed {
		err = errors.New(printable(fmt.Sprintf("the %s failed: %s", p.Kind, p.Error)))
	}
	return err
}

const (
	shortestPoll = 50 * time.Millisecond
	longestPoll  = 10 * time.Second
	// lostPolls is how many polls in a row may fail: a config that is being
	// replaced takes a moment.
	lostPolls = 3
)

// waitForPass looks again and again, ever more seldom, until the pass is over.
func waitForPass(cmd *cobra.Command, p passView) (passView, error) {
	lost := 0
	for pause := shortestPoll; ; pause = min(2*pause, longestPoll) {
		time.Sleep(pause)
		var list passList
		raw, err := callRaw(cmd, http.MethodGet, "/dodo/reconcile", nil)
		if err == nil {
			err = json.Unmarshal(raw, &list)
		}
		if err != nil {
			if lost++; lost == lostPolls {
				return p, fmt.Errorf("the %s was begun, and how it goes cannot be read: %w", p.Kind, err)
			}
			continue
		}
		lost = 0
		found := false
		for _, now := range list.Passes {
			if now.Pass == p.Pass {
				p, found = now, true
			}
		}
		switch {
		case !found:
			return p, fmt.Errorf("the %s is not known any more: the gateway or its store is another one now", p.Kind)
		case p.State == passCut:
			p.Pass++ // does it over
		case p.State == passDone, p.State == passFailed, p.State == passElsewhere:
			return p, nil
		}
	}
}
