package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/importfile"
)

func importCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import express|fastapi|csv <file or database>...",
		Short: "Brings customers along from another payment system",
		Long: `Brings customers along from another payment system: balances, who has paid, plans with
their end, and Dodo's ids of payments, customers and subscriptions, so that the
next renewal of an old subscription finds its account.

  express  profiles (id, credits) and credit_purchases (user_id, payment_id, purchase_date)
  fastapi  users (id, has_paid, payment_date, dodo_payment_id, subscription_plan, plan_expires_at)
  csv      account, and any of: credits, paid, payment_date, plan, plan_expires_at,
           customer_id, subscription_id, payment_id, as_of

Each is a CSV file with a header, or a database: postgres://user:password@host/name,
or '{env.NAME}' to keep the password out of the command line.

All rows are checked first. If one of them does not fit, it is listed with its reason,
and nothing is imported. Importing the same again changes nothing, and a corrected
file changes only the difference.`,
		Example: examples("import express profiles.csv credit_purchases.csv --dry-run",
			"import fastapi '{env.DATABASE_URL}' --plan monthly=pro", "import csv customers.csv --as-of 2026-11-30T12:00:00Z"),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fmt.Errorf("a form and at least one file or database are needed: %s", cmd.UseLine())
			}
			for _, form := range importfile.Forms {
				if string(form) == args[0] {
					return nil
				}
			}
			return fmt.Errorf("%q is not a form; there are express, fastapi and csv", args[0])
		},
		RunE: runImport,
	}
	flags := cmd.Flags()
	flags.Bool("dry-run", false, "Change nothing; list what would change")
	flags.Bool("skip-bad-rows", false, "Import the rows that fit, even if others do not")
	flags.String("as-of", "", "When the balances were so, such as 2026-11-30T12:00:00Z: what was bought before is part of them (default: an hour ago)")
	flags.StringArray("plan", nil, "The catalog's plan for a plan of the file: monthly=pro. May be repeated")
	flags.String("account-column", "", "The column with the id that the login gives, instead of the form's own")
	flags.StringArray("table", nil, "The table to read from the database, instead of the form's own. May be repeated")
	return cmd
}

// defaultAsOf is how long before an import its balances are taken to be from: a renewal
// that came while the customers moved is not part of them.
const defaultAsOf = time.Hour

const progressEvery = 5 * time.Second

// importRun is an import on its way through its files.
type importRun struct {
	cmd     *cobra.Command
	options importfile.Options
	sources []importfile.Source
	asOf    time.Time
	dry     bool // in this pass
	print   bool // what changes
	shown   time.Time

	told map[misfitRow]bool // rows that do not fit and were listed

	rows, changed, unchanged, refused int
}

// misfitRow names a row that does not fit.
type misfitRow struct {
	source string
	line   int64
}

func runImport(cmd *cobra.Command, args []string) error {
	run, err := newImportRun(cmd, args)
	if err != nil {
		return err
	}
	only := flagText(cmd, "dry-run") == "true"
	run.print = only
	if err := run.pass(true); err != nil {
		return fmt.Errorf("nothing was imported: %w", err)
	}
	refused := run.refused
	switch {
	case only:
	case refused > 0 && flagText(cmd, "skip-bad-rows") != "true":
		return fmt.Errorf("nothing was imported: %d rows do not fit; correct them, or --skip-bad-rows", refused)
	case run.changed > 0:
		if err := run.pass(false); err != nil {
			return fmt.Errorf("a part was imported; importing it again changes nothing twice: %w", err)
		}
		if err := run.follow(); err != nil {
			return err
		}
	}
	if err := run.sum(only); err != nil {
		return err
	}
	if run.refused > 0 {
		return fmt.Errorf("%d rows do not fit", run.refused)
	}
	return nil
}

func newImportRun(cmd *cobra.Command, args []string) (*importRun, error) {
	run := &importRun{cmd: cmd, shown: time.Now(), told: make(map[misfitRow]bool), asOf: time.Now().Add(-defaultAsOf)}
	run.options = importfile.Options{
		Form: importfile.Form(args[0]), AccountColumn: strings.ToLower(flagText(cmd, "account-column")), Plans: make(map[string]string),
	}
	plans, err := cmd.Flags().GetStringArray("plan")
	if err != nil {
		return nil, err
	}
	for _, pair := range plans {
		theirs, ours, ok := strings.Cut(pair, "=")
		if _, twice := run.options.Plans[theirs]; !ok || twice || theirs == "" || ours == "" {
			return nil, fmt.Errorf("--plan must be a plan of the file and the catalog's, once each, such as monthly=pro: %q", pair)
		}
		run.options.Plans[theirs] = ours
	}
	if text := flagText(cmd, "as-of"); text != "" {
		at, ok := importfile.ParseTime(text)
		if !ok {
			return nil, fmt.Errorf("--as-of must be a time such as 2026-11-30T12:00:00Z: %q", text)
		}
		run.asOf = at
	}
	run.asOf = run.asOf.UTC().Truncate(time.Second)
	tables, err := cmd.Flags().GetStringArray("table")
	if err != nil {
		return nil, err
	}
	for _, arg := range args[1:] {
		if name, ok := strings.CutPrefix(arg, "{env."); ok && strings.HasSuffix(name, "}") {
			if arg = os.Getenv(strings.TrimSuffix(name, "}")); arg == "" {
				return nil, fmt.Errorf("the environment variable %s is empty", strings.TrimSuffix(name, "}"))
			}
		}
		sources, err := importfile.Sources(run.options.Form, arg, tables)
		if err != nil {
			return nil, err
		}
		run.sources = append(run.sources, sources...)
	}
	return run, nil
}

// pass goes through all sources once.
func (run *importRun) pass(dry bool) error {
	run.dry, run.rows, run.changed, run.unchanged, run.refused = dry, 0, 0, 0, 0
	run.options.Seen = importfile.NewSeen()
	for _, source := range run.sources {
		if err := run.read(source); err != nil {
			return fmt.Errorf("%s: %w", printable(source.Name), err)
		}
	}
	return nil
}

func (run *importRun) read(source importfile.Source) error {
	from, err := source.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	options := run.options
	options.Name = source.Name
	file, err := importfile.NewReader(from, options)
	if err != nil {
		return err
	}
	var batch importLines
	for {
		row, err := file.Next()
		var misfit *importfile.RowError
		switch {
		case errors.As(err, &misfit):
			run.rows++
			run.refuse(source, misfit.Line, misfit.Reason)
			continue
		case err == nil:
			run.rows++
			if err := batch.add(row); err != nil {
				return err
			}
		case !errors.Is(err, io.EOF):
			return err
		}
		if batch.full() || err != nil && len(batch.Rows) > 0 {
			if err := run.send(source, batch); err != nil {
				return err
			}
			batch = importLines{}
		}
		if err != nil {
			return nil
		}
	}
}

// refuse tells of a row that does not fit, once: both passes find most of them. What
// changed in between, the second pass finds alone.
func (run *importRun) refuse(source importfile.Source, line int64, reason string) {
	run.refused++
	if row := (misfitRow{source.Name, line}); !run.told[row] {
		run.told[row] = true
		_, _ = fmt.Fprintln(run.cmd.OutOrStdout(), printable(fmt.Sprintf("%s: line %d: %s", source.Name, line, reason)))
	}
}

// importLines is an importBatch whose rows are written already.
type importLines struct {
	AsOf   time.Time         `json:"as_of"`
	DryRun bool              `json:"dry_run,omitempty"`
	Source string            `json:"source,omitempty"`
	Rows   []json.RawMessage `json:"rows"`
	size   int
}

func (b *importLines) add(row gateway.ImportRow) error {
	raw, err := json.Marshal(row)
	b.Rows, b.size = append(b.Rows, raw), b.size+len(raw)
	return err
}

// full leaves room for one more row of any length.
func (b *importLines) full() bool { return len(b.Rows) == maxImportRows || b.size > maxImportBody/4 }

func (run *importRun) send(source importfile.Source, batch importLines) error {
	name := source.Name
	if len(name) > 200 {
		name = name[len(name)-200:]
	}
	batch.AsOf, batch.DryRun, batch.Source = run.asOf, run.dry, strings.ToValidUTF8(name, "?")
	body, err := json.Marshal(batch)
	if err != nil {
		return err
	}
	raw, err := sendRaw(run.cmd, http.MethodPost, "/dodo/import", nil, bytes.NewReader(body))
	if err != nil {
		return err
	}
	var answer importAnswer
	if err := json.Unmarshal(raw, &answer); err != nil {
		return err
	}
	run.changed += answer.Changed
	run.unchanged += answer.Unchanged
	for _, result := range answer.Results {
		if result.Problem != "" {
			run.refuse(source, result.Line, result.Problem)
		} else if run.print {
			_, _ = fmt.Fprintln(run.cmd.OutOrStdout(), printable(fmt.Sprintf("%s: line %d: %s: %s",
				source.Name, result.Line, result.Account, strings.Join(result.Changes, "; "))))
		}
	}
	if time.Since(run.shown) > progressEvery {
		run.shown = time.Now()
		_, _ = fmt.Fprintf(run.cmd.ErrOrStderr(), "%s: %d rows %s\n", printable(source.Name), run.rows, map[bool]string{true: "checked", false: "imported"}[run.dry])
	}
	return nil
}

// follow has the gateway look for what it could not place before: parked events, and what
// Dodo knows of the customers' subscriptions and payments.
func (run *importRun) follow() error {
	for _, path := range []string{"/dodo/redrive", "/dodo/rebuild"} {
		if _, err := callRaw(run.cmd, http.MethodPost, path, nil); err != nil {
			return fmt.Errorf("all rows are imported, but what waited for them is not applied yet; repeat `dodo redrive` and `dodo rebuild`: %w", err)
		}
	}
	return nil
}

// sum says what the import did.
func (run *importRun) sum(dry bool) error {
	out := run.cmd.OutOrStdout()
	if asJSON(run.cmd) {
		raw, err := json.Marshal(map[string]any{
			"dry_run": dry, "as_of": run.asOf, "rows": run.rows, "changed": run.changed, "unchanged": run.unchanged, "refused": run.refused,
		})
		if err != nil {
			return err
		}
		return printJSON(out, raw)
	}
	t := newTable(out)
	t.row("rows", run.rows)
	t.row(map[bool]string{true: "would change", false: "changed"}[dry], run.changed)
	t.row("unchanged", run.unchanged)
	t.row("refused", run.refused)
	t.row("as of", run.asOf)
	return t.print()
}
