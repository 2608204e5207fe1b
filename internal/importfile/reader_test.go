package importfile_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/importfile"
)

// read reads all rows of a file, each as JSON or as the reason why it does not fit, and
// what ended it.
func read(t *testing.T, text string, o importfile.Options) (rows []string, end error) {
	t.Helper()
	r, err := importfile.NewReader(strings.NewReader(text), o)
	if err != nil {
		return nil, err
	}
	for {
		row, err := r.Next()
		var misfit *importfile.RowError
		switch {
		case errors.Is(err, io.EOF):
			return rows, nil
		case errors.As(err, &misfit):
			rows = append(rows, misfit.Error())
		case err != nil:
			return rows, err
		default:
			raw, err := json.Marshal(row)
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, string(raw))
		}
	}
}

func TestForms(t *testing.T) {
	for name, tt := range map[string]struct {
		options importfile.Options
		text    string
		want    []string
	}{
		"profiles": {
			options: importfile.Options{Form: importfile.Express},
			text:    "\ufeffid,name,credits\r\nann,\"A,\nnn\",13\r\nbob,,0\r\n",
			want: []string{
				`{"line":2,"account":"ann","credits":13}`,
				`{"line":4,"account":"bob","credits":0}`,
			},
		},
		"purchases": {
			options: importfile.Options{Form: importfile.Express},
			text: "id,user_id,credits_purchased,amount_paid,payment_id,purchase_date\n" +
				"1,ann,10,5.00,pay_1,2026-01-02 03:04:05.5+00\n2,ann,10,5.00,pay_2,2026-01-03T00:00:00Z\n3,bob,10,5,,2026-01-03\n",
			want: []string{
				`{"line":2,"account":"ann","payments":[{"id":"pay_1","at":"2026-01-02T03:04:05.5Z"}]}`,
				`{"line":3,"account":"ann","payments":[{"id":"pay_2","at":"2026-01-03T00:00:00Z"}]}`,
				`{"line":4,"account":"bob","paid":true,"payment_date":"2026-01-03T00:00:00Z"}`,
			},
		},
		"users": {
			options: importfile.Options{Form: importfile.FastAPI, Plans: map[string]string{"monthly": "pro"}},
			text: "id,email,has_paid,payment_date,dodo_payment_id,subscription_plan,plan_expires_at\n" +
				"1,a@x,t,2026-11-02 10:00:00,pay_1,monthly,2026-12-02 10:00:00\n2,b@x,false,,,pending_monthly,\n3,c@x,f,,,none,\n4,d@x,true,2026-11-02 10:00:00,,none,\n",
			want: []string{
				`{"line":2,"account":"1","paid":false,"payment_date":"2026-11-02T10:00:00Z","plan":"pro","plan_expires_at":"2026-12-02T10:00:00Z","payments":[{"id":"pay_1"}]}`,
				`{"line":3,"account":"2","paid":false,"plan":""}`,
				`{"line":4,"account":"3","paid":false,"plan":""}`,
				`{"line":5,"account":"4","paid":true,"payment_date":"2026-11-02T10:00:00Z","plan":""}`,
			},
		},
		"users who went to the checkout again": {
			options: importfile.Options{Form: importfile.FastAPI},
			text: "id,has_paid,payment_date,subscription_plan,plan_expires_at\n" +
				"1,t,2026-11-02 10:00:00,pending_monthly,2026-12-02 10:00:00\n2,f,,pending_monthly,2026-12-02 10:00:00\n3,t,2026-11-02 10:00:00,pending_monthly,\n",
			want: []string{
				`{"line":2,"account":"1","paid":false,"payment_date":"2026-11-02T10:00:00Z","plan":"monthly","plan_expires_at":"2026-12-02T10:00:00Z"}`,
				`{"line":3,"account":"2","paid":false,"plan":""}`,
				`{"line":4,"account":"3","paid":true,"payment_date":"2026-11-02T10:00:00Z","plan":""}`,
			},
		},
		"purchases without ids": {
			options: importfile.Options{Form: importfile.Express},
			text:    "user_id,payment_id,purchase_date\nann,,2026-01-02\nann,,2026-01-03\nann,pay_1,2026-01-04\n",
			want: []string{
				`{"line":2,"account":"ann","paid":true,"payment_date":"2026-01-02T00:00:00Z"}`,
				`{"line":3,"account":"ann","payment_date":"2026-01-03T00:00:00Z"}`,
				`{"line":4,"account":"ann","payments":[{"id":"pay_1","at":"2026-01-04T00:00:00Z"}]}`,
			},
		},
		"own, as export writes it": {
			options: importfile.Options{Form: importfile.CSV},
			text:    "account,credits\n'=cmd,1\n''=cmd,2\n'+49,3\n'ann,4\n'',5\n",
			want: []string{
				`{"line":2,"account":"=cmd","credits":1}`,
				`{"line":3,"account":"'=cmd","credits":2}`,
				`{"line":4,"account":"+49","credits":3}`,
				`{"line":5,"account":"'ann","credits":4}`,
				`{"line":6,"account":"''","credits":5}`,
			},
		},
		"users by e-mail": {
			options: importfile.Options{Form: importfile.FastAPI, AccountColumn: "email"},
			text:    "id,email,has_paid,subscription_plan\n1,a@x,f,none\n",
			want:    []string{`{"line":2,"account":"a@x","paid":false,"plan":""}`},
		},
		"own": {
			options: importfile.Options{Form: importfile.CSV},
			text: "account,credits,paid,payment_date,plan,plan_expires_at,customer_id,subscription_id,payment_id,as_of\n" +
				"ann,5,yes,2026-01-01,pro,,cus_1 cus_2,sub_1,pay_1 pay_2,2026-02-01T00:00:00+01:00\nbob,,,,,,,,,\n",
			want: []string{
				`{"line":2,"account":"ann","credits":5,"paid":true,"payment_date":"2026-01-01T00:00:00Z","plan":"pro","customers":["cus_1","cus_2"],"subscriptions":["sub_1"],"payments":[{"id":"pay_1"},{"id":"pay_2"}],"as_of":"2026-01-31T23:00:00Z"}`,
				`{"line":3,"account":"bob"}`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			rows, err := read(t, tt.text, tt.options)
			if err != nil || strings.Join(rows, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("got\n%s\n%v, want\n%s", strings.Join(rows, "\n"), err, strings.Join(tt.want, "\n"))
			}
		})
	}
}

// TestBadRows: each names its line, and the rows around it are read.
func TestBadRows(t *testing.T) {
	for row, want := range map[string]string{
		"bad,-1,":                   "line 3: credits: -1 is negative",
		"bad,1.5,":                  `line 3: credits: "1.5" is not a whole number`,
		"bad,ten,":                  `line 3: credits: "ten" is not a whole number`,
		"bad,99999999999999999999,": `line 3: credits: "99999999999999999999" is out of range`,
		",1,":                       "line 3: account is empty",
		"good ,1,":                  `line 3: account begins or ends with a space: "good "`,
		"\u00a0good,1,":             `line 3: account begins or ends with a space: "\u00a0good"`,
		"good,1,":                   "line 3: the account is on line 2 already",
		"bad,1,sub_1":               "line 3: the subscription is on line 2 already, for another account",
		"bad,1":                     "line 3: 2 columns, but the header names 3",
		"bad,1,,":                   "line 3: 4 columns, but the header names 3",
		"b\xffd,1,":                 "line 3: it is not UTF-8 text",
		"b\x00d,1,":                 "line 3: it is not UTF-8 text",
	} {
		rows, err := read(t, "account,credits,subscription_id\ngood,1,sub_1\n"+row+"\nlast,1,\n", importfile.Options{Form: importfile.CSV})
		if err != nil || len(rows) != 3 || rows[1] != want {
			t.Errorf("%q: %q, %v; want %q", row, rows, err, want)
		}
	}
}

// TestFilesTogether: what two files of one import say must not depend on which comes first.
func TestFilesTogether(t *testing.T) {
	for name, tt := range map[string]struct {
		form          importfile.Form
		first, second string
		want          string // of the second file; empty: it fits
	}{
		"the same account":      {"csv", "account,credits\nann,5\n", "account,credits\nann,7\n", "line 2: the account is on line 2 of first.csv already"},
		"the same said again":   {"csv", "account,credits\nann,5\n", "account,credits\nann,5\n", "line 2: the account is on line 2 of first.csv already"},
		"something else of it":  {"csv", "account,credits\nann,5\n", "account,plan\nann,pro\n", ""},
		"nothing, then credits": {"csv", "account,credits\nann,\n", "account,credits\nann,7\n", ""},
		"one customer of two":   {"csv", "account,customer_id\nann,cus_1\n", "account,customer_id\nbob,cus_1\n", "line 2: the customer is on line 2 of first.csv already, for another account"},
		"its own customer":      {"csv", "account,credits,customer_id\nann,1,cus_1\n", "account,paid,customer_id\nann,t,cus_1\n", ""},
		"profile and purchase":  {"express", "id,credits,customer_id\nann,5,cus_1\n", "user_id,payment_id,purchase_date,customer_id\nann,pay_1,2026-01-01,cus_1\n", ""},
		"a purchase of another": {"express", "id,credits,customer_id\nann,5,cus_1\n", "user_id,payment_id,purchase_date,customer_id\nbob,pay_1,2026-01-01,cus_1\n", "line 2: the customer is on line 2 of first.csv already, for another account"},
		"one customer twice":    {"express", "id,credits\nann,5\n", "user_id,payment_id,purchase_date,customer_id\nann,pay_1,2026-01-01,cus_1\nann,pay_2,2026-01-01,cus_1\n", ""},
		"one payment twice": {
			"express", "id,credits\nann,5\n", "user_id,payment_id,purchase_date\nann,pay_1,2026-01-01\nann,pay_1,2026-01-01\n",
			"line 3: the payment is on line 2 already",
		},
	} {
		t.Run(name, func(t *testing.T) {
			seen := importfile.NewSeen()
			for i, text := range []string{tt.first, tt.second} {
				rows, err := read(t, text, importfile.Options{Form: tt.form, Name: []string{"first.csv", "second.csv"}[i], Seen: seen})
				if err != nil {
					t.Fatal(err)
				}
				got := ""
				for _, row := range rows {
					if strings.HasPrefix(row, "line") {
						got = row
					}
				}
				if want := []string{"", tt.want}[i]; got != want {
					t.Errorf("file %d: %q, want %q", i, got, want)
				}
			}
		})
	}
}

// TestNoPasswordInErrors: an address of a database is not taken for a file, whose name
// errors quote.
func TestNoPasswordInErrors(t *testing.T) {
	for _, arg := range []string{
		"postgresql+asyncpg://tester:hidden@127.0.0.1:1/x?connect_timeout=5", "postgres+psycopg2://tester:hidden@127.0.0.1:1/x?connect_timeout=5",
		"Postgres://tester:hidden@127.0.0.1:1/x?connect_timeout=5", "mysql://tester:hidden@h/x", "jdbc:postgresql://h/x?password=hidden",
		"sqlite:///hidden", "host=127.0.0.1 password=hidden", "password = hidden", "postgres:/tester:hidden@h/x", " postgres://tester:hidden@h/x",
		"postgres://tester:hid den@h/x", "postgres://tester:hidden%zz@h/x", "'postgres://tester:hidden@h/x'",
	} {
		sources, err := importfile.Sources(importfile.FastAPI, arg, nil)
		if err == nil {
			_, err = sources[0].Open()
		}
		if err == nil || strings.Contains(err.Error(), "hid") || err != nil && len(sources) > 0 && strings.Contains(sources[0].Name, "hid") {
			t.Errorf("%q: %v", arg, err)
		}
	}
	for _, file := range []string{"no/such.csv", "no=such.csv", `C:\no\such.csv`} {
		sources, err := importfile.Sources(importfile.CSV, file, nil)
		if err != nil {
			t.Errorf("%q: %v", file, err)
			continue
		}
		if _, err := sources[0].Open(); err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("%q: %v", file, err)
		}
	}
}

// TestToCell: an export shows no formula to a spreadsheet.
func TestToCell(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "ann": "ann", "'ann": "'ann", "a=b": "a=b", "=1": "'=1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "＝1": "'＝1", "'=1": "''=1",
	} {
		if got := importfile.ToCell(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestBadFiles: nothing more is read of them.
func TestBadFiles(t *testing.T) {
	for name, tt := range map[string]struct{ form, text, want string }{
		"empty":          {"csv", "", "it is empty"},
		"UTF-16":         {"csv", "\xff\xfea\x00,\x00b\x00", "line 1 is not UTF-8"},
		"unknown column": {"csv", "account,credit\n", `"credit" is not a column`},
		"a column twice": {"csv", "account,credits,credits\n", `the column "credits" twice`},
		"no header":      {"csv", "ann,5\n", `"ann" is not a column`},
		"only accounts":  {"csv", "account\nann\n", "besides account"},
		"no account":     {"csv", "credits,plan\n", "no column with the account"},
		"other tables":   {"express", "id,webhook_id\n", "neither profiles"},
		"not users":      {"fastapi", "id,email\n", "users needs"},
		"quote":          {"csv", "account,credits\nann,\"5\nbob,6\n", "line 2 is not CSV"},
		"endless quote":  {"csv", "account,credits\nann,\"" + strings.Repeat("x\n", 1<<20), "longer than"},
		"endless row":    {"csv", "account,credits\nann," + strings.Repeat("5", 1<<20), "longer than"},
		"endless header": {"csv", strings.Repeat("a", 1<<20), "longer than"},
		"unknown form":   {"stripe", "id,credits\n", "is not a form"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(t, tt.text, importfile.Options{Form: importfile.Form(tt.form)})
			if !errors.Is(err, importfile.ErrFile) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestMillionRows: the memory for a file is what its ids take to be told apart, not
// the file.
func TestMillionRows(t *testing.T) {
	const rows = 1_000_000
	from, pipe := io.Pipe()
	to := bufio.NewWriterSize(pipe, 1<<16)
	go func() {
		_, _ = fmt.Fprintln(to, "account,credits,payment_id")
		padding := strings.Repeat(" ", 200)
		for i := range rows {
			if _, err := fmt.Fprintf(to, "user-%d,%s5,pay_%d\n", i, padding, i); err != nil {
				return
			}
		}
		_ = to.Flush()
		_ = pipe.Close()
	}()
	r, err := importfile.NewReader(from, importfile.Options{Form: importfile.CSV})
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for {
		_, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		read++
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if read != rows || m.HeapAlloc > 120<<20 {
		t.Errorf("%d rows, %d MiB, want at most 120 MiB of 240", read, m.HeapAlloc>>20)
	}
	runtime.KeepAlive(r)
	t.Logf("%d MiB", m.HeapAlloc>>20)
}
