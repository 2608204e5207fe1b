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
		"good,1,":                   "line 3: the account is on line 2 already",
		"bad,1,sub_1":               "line 3: the subscription is on line 2 already",
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
