package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
)

func checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [<account>]",
		Short: "Looks for damaged records, of all accounts or of one",
		Long: `Looks for damaged records, of all accounts or of one: whether each can be read, whether
the entries of the ledger follow each other, whether grants, debt and holds add up to
them, and whether what an account owns at Dodo has an account. Looking changes nothing.

It prints what is wrong, and exits with 1 if anything is. ` + "`rebuild <account>`" + ` mends it.`,
		Example: examples("check", "check alice"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				v, err := fetch[checkView](cmd, pathOf("dodo", "check", args[0]), nil)
				if err != nil {
					return err
				}
				return printChecked(cmd, v)
			}
			var all checkView
			query := url.Values{"limit": {strconv.Itoa(maxAdminPage)}}
			seen := make(map[string]bool)
			for {
				page, err := fetch[checkView](cmd, "/dodo/check", query)
				if err != nil {
					return err
				}
				all.Looked += page.Looked
				for _, a := range page.Accounts {
					if !seen[a.Account] { // pages may overlap
						all.Accounts = append(all.Accounts, a)
					}
					seen[a.Account] = true
				}
				if page.Next == "" {
					return printChecked(cmd, all)
				}
				query.Set("after", page.Next)
			}
		},
	}
}

func printChecked(cmd *cobra.Command, v checkView) error {
	if asJSON(cmd) {
		if err := printAsJSON(cmd, v); err != nil {
			return err
		}
	} else {
		t := newTable(cmd.OutOrStdout())
		for _, a := range v.Accounts {
			for _, wrong := range a.Wrong {
				t.row(a.Account, wrong)
			}
		}
		t.row("checked", v.Looked)
		t.row("damaged", len(v.Accounts))
		if err := t.print(); err != nil {
			return err
		}
	}
	if len(v.Accounts) > 0 {
		return fmt.Errorf("accounts are damaged: %d", len(v.Accounts))
	}
	return nil
}

// rebuildAccount mends the records of one account.
func rebuildAccount(cmd *cobra.Command, account string) error {
	v, printed, err := call[rebuiltView](cmd, http.MethodPost, pathOf("dodo", "rebuild", account), nil)
	if err != nil || printed {
		return err
	}
	t := newTable(cmd.OutOrStdout())
	for _, part := range []struct {
		name  string
		texts []string
	}{{"was wrong", v.Wrong}, {"not known", v.Notes}, {"not at Dodo", v.Unread}, {"still wrong", v.Left}} {
		for _, text := range part.texts {
			t.row(part.name, text)
		}
	}
	t.row("read", v.Read)
	t.row("applied", v.Applied)
	if err := t.print(); err != nil {
		return err
	}
	if len(v.Left) > 0 {
		return errors.New("not everything could be mended")
	}
	return nil
}
