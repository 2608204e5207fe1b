package caddymodule

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/importfile"
)

func exportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export <directory>",
		Short: "Writes all accounts, grants, plans, ledgers and acts as CSV files",
		Long: `Writes five CSV files into a directory, which is made if it is not there:

  accounts.csv  one row for each account, in the form that import csv reads
  grants.csv    the grants of which something is left, held or waiting
  plans.csv     the plans that give access, the highest first
  ledger.csv    the entries of all ledgers, the newest first
  acts.csv      what operators did, the newest hundred for each account

What changes meanwhile may or may not be in them. No file is overwritten. Damaged
accounts are not in them; the command names them at the end and exits with 1.`,
		Example: examples("export backup-2026-11-30"),
		Args:    oneArg("directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			e := &export{cmd: cmd, directory: args[0], asOf: time.Now().UTC().Truncate(time.Second), seen: make(map[string]bool)}
			err := e.run()
			return errors.Join(err, e.close())
		},
	}
}

// export is an export on its way.
type export struct {
	cmd       *cobra.Command
	directory string
	asOf      time.Time
	files     []*os.File
	seen      map[string]bool

	accounts, grants, plans, ledger, acts *csv.Writer
	entries                               int
	damaged                               []string
}

func (e *export) run() error {
	if err := os.MkdirAll(e.directory, 0o700); err != nil {
		return err
	}
	for _, file := range []struct {
		to      **csv.Writer
		name    string
		columns []string
	}{
		{&e.accounts, "accounts.csv", importfile.Columns},
		{&e.grants, "grants.csv", []string{"account", "grant", "amount", "left", "held", "created_at", "expires_at", "waiting", "starts_at"}},
		{&e.plans, "plans.csv", []string{"account", "plan", "status", "expires_at"}},
		{&e.ledger, "ledger.csv", []string{"account", "entry", "at", "kind", "amount", "balance", "grant", "cause"}},
		{&e.acts, "acts.csv", []string{
			"account", "act", "at", "kind", "credits", "plan", "expires_at", "object", "by", "credits_before", "credits_after",
			"owed_before", "owed_after", "undone_by", "reason",
		}},
	} {
		f, err := os.OpenFile(filepath.Join(e.directory, file.name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		e.files = append(e.files, f)
		*file.to = csv.NewWriter(f)
		if err := (*file.to).Write(file.columns); err != nil {
			return err
		}
	}
	query := url.Values{"limit": {strconv.Itoa(maxAdminPage)}}
	for {
		page, err := fetch[accountPage](e.cmd, "/dodo/accounts", query)
		if err != nil {
			return err
		}
		for _, a := range page.Accounts {
			if err := e.account(a); err != nil {
				return err
			}
		}
		e.damaged = append(e.damaged, page.Damaged...)
		if page.Next == "" {
			break
		}
		query.Set("after", page.Next)
	}
	t := newTable(e.cmd.OutOrStdout())
	t.row("accounts", len(e.seen))
	t.row("entries", e.entries)
	t.row("as of", e.asOf)
	if err := t.print(); err != nil || len(e.damaged) == 0 {
		return err
	}
	slices.Sort(e.damaged)
	e.damaged = slices.Compact(e.damaged) // pages may overlap
	return fmt.Errorf("%d accounts are damaged, and not in the files: %s; mend them with rebuild <account>",
		len(e.damaged), printable(strings.Join(e.damaged, ", ")))
}

func fetch[T any](cmd *cobra.Command, path string, query url.Values) (answer T, err error) {
	raw, err := callRaw(cmd, http.MethodGet, path, query)
	if err != nil {
		return answer, err
	}
	return answer, json.Unmarshal(raw, &answer)
}

// account writes an account once: pages may overlap.
func (e *export) account(a exportedAccount) error {
	if e.seen[a.Account] {
		return nil
	}
	e.seen[a.Account] = true
	err := e.accounts.Write(accountRow(a, e.asOf))
	for _, g := range a.Grants {
		err = errors.Join(err, e.grants.Write([]string{
			importfile.ToCell(a.Account), importfile.ToCell(g.Grant), number(g.Amount), number(g.Left), number(g.Held), instant(g.CreatedAt), instant(g.ExpiresAt), number(g.Waiting), instant(g.StartsAt),
		}))
	}
	for _, p := range a.Plans {
		err = errors.Join(err, e.plans.Write([]string{importfile.ToCell(a.Account), importfile.ToCell(p.Plan), string(p.Status), instant(p.ExpiresAt)}))
	}
	for _, did := range a.Acts {
		err = errors.Join(err, e.acts.Write([]string{
			importfile.ToCell(a.Account), did.ID, instant(did.At), string(did.Kind), number(did.Credits), importfile.ToCell(did.Plan), instant(did.ExpiresAt),
			importfile.ToCell(did.Object), importfile.ToCell(did.By), number(did.Before.Credits), number(did.After.Credits),
			number(did.Before.Owed), number(did.After.Owed), did.Undone, importfile.ToCell(did.Reason),
		}))
	}
	if err != nil || a.LastEntry == 0 {
		return err
	}
	query := url.Values{"limit": {strconv.Itoa(maxAdminPage)}}
	for {
		page, err := fetch[entryPage](e.cmd, pathOf("dodo", "accounts", a.Account, "entries"), query)
		if err != nil {
			return err
		}
		for _, entry := range page.Entries {
			e.entries++
			if err := e.ledger.Write([]string{
				importfile.ToCell(a.Account), number(entry.Seq), instant(entry.At), string(entry.Kind), number(entry.Amount),
				number(entry.Balance), importfile.ToCell(entry.Grant), importfile.ToCell(entry.Cause),
			}); err != nil {
				return err
			}
		}
		if page.Next == 0 {
			return nil
		}
		query.Set("before", number(page.Next))
	}
}

// accountRow is an account as import csv reads it: what is held counts as not spent.
func accountRow(a exportedAccount, asOf time.Time) []string {
	row := map[string]string{
		"account": importfile.ToCell(a.Account), "credits": number(a.Credits + a.Held), "paid": "false", "payment_date": instant(a.PaymentDate),
		"plan": entitlement.NoPlan, "as_of": instant(asOf),
	}
	subscriptions, payments := slices.Clone(a.Subscriptions), slices.Clone(a.Payments)
	for _, s := range a.Standings {
		if s.Paid {
			row["paid"] = "true"
		}
		if id, ok := strings.CutPrefix(s.Object, string(entitlement.KindSubscription)+":"); ok {
			subscriptions = append(subscriptions, id)
		} else if id, ok := strings.CutPrefix(s.Object, string(entitlement.KindPayment)+":"); ok {
			payments = append(payments, id)
		}
	}
	if len(a.Plans) > 0 {
		row["plan"], row["plan_expires_at"] = a.Plans[0].Plan, instant(a.Plans[0].ExpiresAt)
	}
	for column, ids := range map[string][]string{"customer_id": a.Customers, "subscription_id": subscriptions, "payment_id": payments} {
		row[column] = strings.Join(slices.Compact(slices.Sorted(slices.Values(ids))), " ")
	}
	cells := make([]string, len(importfile.Columns))
	for i, column := range importfile.Columns {
		cells[i] = row[column]
	}
	return cells
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// instant is empty for a time that is not known.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// close writes what is left into the files.
func (e *export) close() error {
	var errs []error
	for _, w := range []*csv.Writer{e.accounts, e.grants, e.plans, e.ledger, e.acts} {
		if w != nil {
			w.Flush()
			errs = append(errs, w.Error())
		}
	}
	for _, f := range e.files {
		errs = append(errs, f.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("write the files: %w", err)
	}
	return nil
}
