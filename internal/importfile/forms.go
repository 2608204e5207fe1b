package importfile

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/gateway"
)

// Form says which application's tables a file has.
type Form string

// The forms.
const (
	// Express is the hand-written Express integration: the tables profiles and
	// credit_purchases, which are distinguished by their columns.
	Express Form = "express"
	// FastAPI is the hand-written FastAPI integration: the table users.
	FastAPI Form = "fastapi"
	// CSV is dodogate's own form, see [Columns].
	CSV Form = "csv"
)

// Forms lists all forms.
var Forms = []Form{Express, FastAPI, CSV}

// Columns are the columns of [CSV]. Only account is required.
var Columns = []string{
	"account", "credits", "paid", "payment_date", "plan", "plan_expires_at",
	"customer_id", "subscription_id", "payment_id", "as_of",
}

// table says how to read the rows of a file.
type table struct {
	account        string // the column with the account's id
	accountRepeats bool   // an account may have several rows
	read           func(*tableRow) gateway.ImportRow
}

// table decides from the columns which table it is.
func (f Form) table(columns map[string]int, account string) (table, error) {
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(n string) bool { _, ok := columns[n]; return !ok })
	}
	t := table{account: account}
	pick := func(names ...string) {
		for _, n := range names {
			if t.account == "" && has(n) {
				t.account = n
			}
		}
	}
	found := strings.Join(slices.Sorted(maps.Keys(columns)), ", ")
	switch f {
	case Express:
		switch {
		case has("credits"):
			pick("id", "user_id")
			t.read = readProfile
		case has("payment_id"):
			pick("user_id")
			t.accountRepeats, t.read = true, readPurchase
		default:
			return t, fmt.Errorf("neither profiles (id, credits) nor credit_purchases (user_id, payment_id, purchase_date) has the columns %.300q", found)
		}
	case FastAPI:
		if !has("has_paid", "subscription_plan") {
			return t, fmt.Errorf("users needs the columns id, has_paid and subscription_plan; there are %.300q", found)
		}
		pick("id")
		t.read = readUser
	case CSV:
		inOrder := func(a, b string) int { return cmp.Compare(columns[a], columns[b]) }
		for _, name := range slices.SortedFunc(maps.Keys(columns), inOrder) {
			if !slices.Contains(Columns, name) && name != account {
				return t, fmt.Errorf("%.40q is not a column; there are %s", name, strings.Join(Columns, ", "))
			}
		}
		if len(columns) < 2 {
			return t, errors.New("there must be a column besides account")
		}
		pick("account")
		t.read = readCSVRow
	default:
		return t, fmt.Errorf("%q is not a form", f)
	}
	if t.account == "" || !has(t.account) {
		return t, fmt.Errorf("there is no column with the account's id; there are %.300q", found)
	}
	return t, nil
}

func readProfile(c *tableRow) gateway.ImportRow {
	row := c.row()
	row.Credits = c.credits("credits")
	if row.Credits == nil && c.problem == "" {
		c.problem = "credits is empty"
	}
	return row
}

func readPurchase(c *tableRow) gateway.ImportRow {
	row := c.row()
	row.Payments = nil
	at, ids := c.time("purchase_date"), c.ids("payment_id")
	if at.IsZero() && c.problem == "" {
		c.problem = "purchase_date is empty"
	}
	for _, id := range ids {
		row.Payments = append(row.Payments, gateway.ImportedPayment{ID: id, At: at})
	}
	if len(ids) == 0 {
		paid := true
		row.Paid, row.PaymentDate = &paid, at
	}
	return row
}

// pendingPrefix begins the plan in users while a checkout is open. The old code overwrites the
// customer's plan with it, but has_paid and plan_expires_at stay.
const pendingPrefix = "pending_"

func readUser(c *tableRow) gateway.ImportRow {
	row := c.row("dodo_payment_id")
	hasPaid := c.flag("has_paid")
	plan := c.text("subscription_plan")
	if wanted, pending := strings.CutPrefix(plan, pendingPrefix); pending {
		plan = ""
		if hasPaid != nil && *hasPaid && c.text("plan_expires_at") != "" {
			plan = wanted
		}
	}
	row.Plan = c.plan(plan)
	paid := hasPaid != nil && *hasPaid && *row.Plan == ""
	row.Paid, row.PaymentDate = &paid, c.time("payment_date")
	if *row.Plan != "" {
		row.PlanExpiresAt = c.time("plan_expires_at")
		if row.PlanExpiresAt.IsZero() && c.problem == "" {
			c.problem = "plan_expires_at is empty, so nothing says when the plan ends"
		}
		if (hasPaid == nil || !*hasPaid) && c.problem == "" {
			c.problem = "it has a plan, but has_paid is not true"
		}
	}
	return row
}

func readCSVRow(c *tableRow) gateway.ImportRow {
	row := c.row("payment_id")
	row.Account = fromCell(row.Account)
	row.Credits = c.credits("credits")
	row.Paid = c.flag("paid")
	row.PaymentDate, row.PlanExpiresAt, row.AsOf = c.time("payment_date"), c.time("plan_expires_at"), c.time("as_of")
	if plan := c.text("plan"); plan != "" {
		row.Plan = c.plan(plan)
	}
	return row
}

// tableRow holds the cells of one row. Only the first problem is kept.
type tableRow struct {
	reader  *Reader
	cells   []string
	problem string
}

func (c *tableRow) fail(format string, args ...any) {
	if c.problem == "" {
		c.problem = fmt.Sprintf(format, args...)
	}
}

// text is a cell; empty if there is no such column.
func (c *tableRow) text(column string) string {
	i, ok := c.reader.column[column]
	if !ok {
		return ""
	}
	return strings.TrimSpace(c.cells[i])
}

// row reads what all tables may have. payments are the columns with payment ids.
func (c *tableRow) row(payments ...string) gateway.ImportRow {
	row := gateway.ImportRow{Account: strings.Clone(c.cells[c.reader.column[c.reader.table.account]])}
	switch {
	case row.Account == "":
		c.fail("%s is empty", c.reader.table.account)
	case strings.TrimSpace(row.Account) != row.Account:
		c.fail("%s begins or ends with a space: %.40q", c.reader.table.account, row.Account)
	}
	row.Customers = append(c.ids("customer_id"), c.ids("dodo_customer_id")...)
	row.Subscriptions = append(c.ids("subscription_id"), c.ids("dodo_subscription_id")...)
	for _, column := range payments {
		for _, id := range c.ids(column) {
			row.Payments = append(row.Payments, gateway.ImportedPayment{ID: id})
		}
	}
	return row
}

// ids are the ids in a cell, separated by spaces.
func (c *tableRow) ids(column string) []string {
	ids := strings.Fields(c.text(column))
	for i, id := range ids {
		ids[i] = strings.Clone(id)
	}
	return ids
}

func (c *tableRow) credits(column string) *int64 {
	text := c.text(column)
	if text == "" {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		c.fail("%s: %.40q is out of range", column, text)
	case err != nil:
		c.fail("%s: %.40q is not a whole number", column, text)
	case n < 0:
		c.fail("%s: %d is negative", column, n)
	}
	return &n
}

func (c *tableRow) flag(column string) *bool {
	var set bool
	switch text := strings.ToLower(c.text(column)); text {
	case "":
		return nil
	case "t", "true", "yes", "1":
		set = true
	case "f", "false", "no", "0":
	default:
		c.fail("%s: %.40q is neither true nor false", column, text)
	}
	return &set
}

// plan is the catalog's name of a plan; empty for none.
func (c *tableRow) plan(text string) *string {
	text = strings.Clone(text)
	if ours, ok := c.reader.plans[text]; ok {
		text = ours
	}
	if text == "none" {
		text = ""
	}
	return &text
}

// layouts are the accepted formats of an instant: of RFC 3339, PostgreSQL and Python. Without
// a zone it is UTC.
var layouts = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07", "2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999", time.DateOnly,
}

// ParseTime reads an instant in any format that databases use; without a zone it is UTC.
func ParseTime(text string) (time.Time, bool) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

func (c *tableRow) time(column string) time.Time {
	text := c.text(column)
	if text == "" {
		return time.Time{}
	}
	t, ok := ParseTime(text)
	if !ok {
		c.fail("%s: %.40q is not a time such as 2026-01-31T12:00:00Z", column, text)
	}
	return t
}
