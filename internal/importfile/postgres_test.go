package importfile_test

import (
	"io"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/importfile"
	"github.com/dodogate/dodogate/internal/testing/pgtest"
)

// readDatabase is read of all tables of a database.
func readDatabase(t *testing.T, url string, o importfile.Options, tables ...string) (rows []string, end error) {
	t.Helper()
	sources, err := importfile.Sources(o.Form, url, tables)
	if err != nil {
		return nil, err
	}
	for _, s := range sources {
		from, err := s.Open()
		if err != nil {
			return rows, err
		}
		text, err := io.ReadAll(from)
		if err := from.Close(); err != nil {
			t.Error(err)
		}
		if err != nil {
			return rows, err
		}
		if strings.Contains(string(text), "hidden") {
			t.Errorf("%s: a column that is none of ours left the database", s.Name)
		}
		more, err := read(t, string(text), o)
		if rows = append(rows, more...); err != nil {
			return rows, err
		}
	}
	return rows, nil
}

func TestDatabase(t *testing.T) {
	url := pgtest.Start(t)
	pgtest.Exec(t, url, `
CREATE TABLE profiles(id uuid PRIMARY KEY, full_name text, secret text DEFAULT 'hidden', credits integer DEFAULT 3);
CREATE TABLE credit_purchases(id serial, user_id uuid, credits_purchased integer, amount_paid decimal(10,2), payment_id text UNIQUE, purchase_date timestamptz DEFAULT now());
CREATE TABLE users(id serial, email text UNIQUE, has_paid boolean DEFAULT false, payment_date timestamp, dodo_payment_id text, subscription_plan text DEFAULT 'none', plan_expires_at timestamp, password text DEFAULT 'hidden');
CREATE SCHEMA shop;
CREATE TABLE padded(account char(40), credits integer, plan char(20));
INSERT INTO padded VALUES ('ann', 5, 'pro');
CREATE TABLE shop."My Customers"(account text, credits bigint, note text);
INSERT INTO profiles(id, full_name, credits) VALUES ('00000000-0000-0000-0000-000000000001', E'A, "b"\nc', 13), ('00000000-0000-0000-0000-000000000002', NULL, NULL);
INSERT INTO credit_purchases(user_id, credits_purchased, amount_paid, payment_id, purchase_date) VALUES ('00000000-0000-0000-0000-000000000001', 10, 5.00, 'pay_1', '2026-07-01 12:00:00.25+02');
INSERT INTO users(email, has_paid, payment_date, dodo_payment_id, subscription_plan, plan_expires_at) VALUES ('a@x', true, '2026-07-01 12:00:00.5', 'pay_2', 'monthly', '2026-07-31 12:00:00.5');
INSERT INTO shop."My Customers" VALUES ('ann', 5, '');
`)
	for name, tt := range map[string]struct {
		options importfile.Options
		tables  []string
		want    []string
	}{
		"express": {importfile.Options{Form: importfile.Express}, nil, []string{
			`{"line":2,"account":"00000000-0000-0000-0000-000000000001","credits":13}`,
			`line 3: credits is empty`,
			`{"line":2,"account":"00000000-0000-0000-0000-000000000001","payments":[{"id":"pay_1","at":"2026-07-01T10:00:00.25Z"}]}`,
		}},
		"fastapi": {importfile.Options{Form: importfile.FastAPI}, nil, []string{
			`{"line":2,"account":"1","paid":false,"payment_date":"2026-07-01T12:00:00.5Z","plan":"monthly","plan_expires_at":"2026-07-31T12:00:00.5Z","payments":[{"id":"pay_2"}]}`,
		}},
		"csv":        {importfile.Options{Form: importfile.CSV}, []string{"shop.My Customers"}, []string{`{"line":2,"account":"ann","credits":5}`}},
		"char(n)":    {importfile.Options{Form: importfile.CSV}, []string{"padded"}, []string{`{"line":2,"account":"ann","credits":5,"plan":"pro"}`}},
		"Prisma":     {importfile.Options{Form: importfile.CSV}, []string{"My Customers"}, []string{`{"line":2,"account":"ann","credits":5}`}},
		"SQLAlchemy": {importfile.Options{Form: importfile.CSV}, []string{"padded"}, []string{`{"line":2,"account":"ann","credits":5,"plan":"pro"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			url := url
			switch name {
			case "Prisma":
				url += "&schema=shop&pgbouncer=true&connection_limit=1"
			case "SQLAlchemy":
				url = strings.Replace(url, "postgres://", "postgresql+psycopg://", 1)
				url = strings.Replace(url, "sslmode=disable", "ssl=false", 1)
			}
			rows, err := readDatabase(t, url, tt.options, tt.tables...)
			if err != nil || strings.Join(rows, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("got\n%s\n%v, want\n%s", strings.Join(rows, "\n"), err, strings.Join(tt.want, "\n"))
			}
		})
	}
	for name, tt := range map[string]struct {
		url   string
		form  importfile.Form
		table string
		want  string
	}{
		"no table":       {url, importfile.CSV, "missing", `"missing" does not exist`},
		"no column":      {url, importfile.CSV, "pg_class", "none of the columns"},
		"none is named":  {url, importfile.CSV, "", "--table"},
		"injection":      {url, importfile.CSV, `users; DROP TABLE users`, "does not exist"},
		"TLS is wanted":  {strings.Replace(url, "sslmode=disable", "ssl=true", 1), importfile.FastAPI, "", "refused TLS"},
		"no server":      {"postgres://tester:hidden@127.0.0.1:1/x?connect_timeout=5", importfile.FastAPI, "", "connect to the database"},
		"not a database": {"postgres://tester:hidden@127.0.0.1:x/", importfile.FastAPI, "", "URL"},
	} {
		t.Run(name, func(t *testing.T) {
			var tables []string
			if tt.table != "" {
				tables = []string{tt.table}
			}
			_, err := readDatabase(t, tt.url, importfile.Options{Form: tt.form}, tables...)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("%v, want %q and no password", err, tt.want)
			}
		})
	}
	if rows, err := readDatabase(t, url, importfile.Options{Form: importfile.FastAPI}); err != nil || len(rows) != 1 {
		t.Errorf("after the injection: %v, %v", rows, err)
	}
}
