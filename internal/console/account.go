package console

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/ledger"
)

const (
	maxEntries = 50  // on a page
	maxRows    = 100 // of any other list
)

// accountPage is the data of account.html.
type accountPage struct {
	Account   string
	Verdict   []string // sentences
	Held      int64
	Owed      int64
	Snapshot  entitlement.Snapshot
	HeldUntil time.Time
	Grants    table[ledger.Grant]
	Standings table[standing]
	Pending   table[book.Order]
	Purchases table[book.Order]
	Parked    table[book.Event]
	// ParkedMore: so much is parked that not all of it was looked through.
	ParkedMore bool
	Entries    []ledger.Entry
	Older      string // address of the entries that follow; empty: there are none
}

// table is as much of a list as fits a page.
type table[T any] struct {
	Rows []T
	Left int // out
}

func tableOf[T any](list []T) table[T] {
	fits := min(len(list), maxRows)
	return table[T]{list[:fits], len(list) - fits}
}

// standing is what a payment or subscription gives besides credits.
type standing struct {
	Object string
	Paid   bool
	PaidAt time.Time
	Gives  string
	Status string
	Until  time.Time
}

func showAccount(r *request) (view, error) {
	account := r.input.Get("id")
	before := int64(0)
	if text := r.input.Get("before"); text != "" {
		var err error
		if before, err = strconv.ParseInt(text, 10, 64); err != nil || before < 1 || before > gateway.MaxEntry {
			return view{}, fmt.Errorf("%w: before must be the number of an entry", errInput)
		}
	}
	v, err := r.Accounts.Inspect(r.Context(), account)
	if err != nil {
		return view{}, fmt.Errorf("read the account: %w", err)
	}
	entries, next, err := r.Accounts.Entries(r.Context(), account, before, maxEntries)
	if err != nil {
		return view{}, fmt.Errorf("read the ledger: %w", err)
	}
	if !v.Known() {
		return view{
			Status: http.StatusNotFound, Title: "Never seen", page: "unknown.html", Data: account,
		}, nil
	}
	p := accountPage{
		Account: account, Owed: v.Ledger.Debt, Snapshot: v.Snapshot, HeldUntil: v.HeldUntil,
		Pending: tableOf(v.Pending), Purchases: tableOf(v.Purchases), Parked: tableOf(v.Parked), ParkedMore: v.ParkedMore,
		Entries: entries,
	}
	var grants []ledger.Grant
	for _, g := range v.Ledger.Grants {
		if g.Open() {
			p.Held += g.Held
			grants = append(grants, g)
		}
	}
	slices.SortFunc(grants, ledger.Grant.Compare)
	p.Grants = tableOf(grants)
	var standings []standing
	for _, object := range slices.Sorted(maps.Keys(v.Standings)) {
		standings = append(standings, standingOf(object, v.Standings[object]))
	}
	p.Standings = tableOf(standings)
	p.Verdict = verdict(account, v, p.Held)
	if before == 0 && next == 0 {
		p.Verdict = append(p.Verdict, tally(entries)...)
	}
	if next != 0 {
		p.Older = Pages + "account?" + url.Values{"id": {account}, "before": {strconv.FormatInt(next, 10)}}.Encode() + "#ledger"
	}
	return view{Title: shown(account), page: "account.html", Data: p}, nil
}

// verdict says in sentences what an account can do. It repeats figures and decides nothing.
func verdict(account string, v gateway.Inspection, held int64) []string {
	now := v.Snapshot
	first := fmt.Sprintf("%s can spend %s", shown(account), credits(now.Credits))
	switch {
	case now.Plan == entitlement.NoPlan:
		first += " and has no plan."
	case now.PlanExpiresAt.IsZero():
		first += fmt.Sprintf(" and has the plan %s (%s), without an end.", now.Plan, now.PlanStatus)
	default:
		first += fmt.Sprintf(" and has the plan %s (%s) until %s.", now.Plan, now.PlanStatus, showTime(now.PlanExpiresAt))
	}
	said := []string{first}
	if held > 0 {
		said = append(said, fmt.Sprintf("%s more are set aside for requests that are under way.", credits(held)))
	}
	if owed := v.Ledger.Debt; owed > 0 {
		said = append(said, fmt.Sprintf("It owes %s, which the next credits pay first.", credits(owed)))
	}
	switch {
	case !now.PaymentDate.IsZero():
		said = append(said, fmt.Sprintf("Its newest payment was made at %s.", showTime(now.PaymentDate)))
	case !now.HasPaid:
		said = append(said, "No payment of it is in force.")
	}
	if n := len(v.Parked); n > 0 {
		said = append(said, fmt.Sprintf("Events about it wait for a decision: %d.", n))
	}
	return said
}

func credits(n int64) string {
	if n == 1 {
		return "1 credit"
	}
	return strconv.FormatInt(n, 10) + " credits"
}

// tally says where the credits of a whole ledger came from and went.
func tally(entries []ledger.Entry) []string {
	sums := map[ledger.Kind]int64{}
	for _, e := range entries {
		sums[e.Kind] += e.Amount
	}
	if len(entries) == 0 {
		return []string{"Its ledger is empty: credits were never given to it."}
	}
	said := fmt.Sprintf("In all, %s were given", credits(sums[ledger.KindGrant]))
	for _, row := range []struct {
		kind ledger.Kind
		how  string
	}{
		{ledger.KindCapture, "spent"}, {ledger.KindClawBack, "taken back"}, {ledger.KindExpire, "not spent in time"},
		{ledger.KindTake, "taken by an operator"},
	} {
		if sum := sums[row.kind]; sum != 0 {
			said += fmt.Sprintf(", %d %s", -sum, row.how)
		}
	}
	return []string{said + "."}
}

func standingOf(object string, s entitlement.Standing) standing {
	row := standing{Object: object, Paid: s.Paid, PaidAt: s.PaidAt}
	var gives []string
	if s.Paid {
		gives = append(gives, "counts as paid")
	}
	for _, p := range s.Passes {
		lasts := "without end"
		if p.Lasts > 0 {
			lasts = "for " + p.Lasts.String()
		}
		gives = append(gives, p.Plan+" "+lasts)
	}
	if r := s.Renewal; r != nil {
		row.Status, row.Until = string(r.Status), r.Until
		gives = append(gives, cmp.Or(r.Plan, "no plan"))
		gives = append(append(gives, r.Plans...), r.Features...)
	}
	if s.Feature != "" {
		gives = append(gives, s.Feature)
	}
	row.Gives = strings.Join(gives, ", ")
	return row
}
