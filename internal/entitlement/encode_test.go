package entitlement_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// TestAppendJSON: the stored form is the output of encoding/json, which earlier releases used.
func TestAppendJSON(t *testing.T) {
	at := time.Date(2026, time.May, 4, 12, 0, 0, 123_000_000, time.UTC)
	payment := entitlement.Payment{
		Status: entitlement.PaymentSucceeded, Total: 500, Currency: "USD", CreatedAt: at,
		Cart: []entitlement.Line{{ProductID: "pdt_1", Quantity: 1}},
	}
	with := func(change func(*entitlement.Payment)) entitlement.Payment {
		p := payment
		change(&p)
		return p
	}
	for name, r := range map[string]entitlement.Record{
		"nothing":       {},
		"usual":         {Payment: payment, Terms: map[string]entitlement.Terms{"pdt_1": {Credits: 10}}},
		"without terms": {Payment: payment},
		"all terms": {Payment: payment, Terms: map[string]entitlement.Terms{
			"pdt_1": {Credits: 1 << 53, CreditsExpire: time.Hour, CreditsStay: true, Plan: "pro", Lasts: time.Minute},
		}},
		"least amounts":   {Payment: payment, Terms: map[string]entitlement.Terms{"pdt_1": {MinAmount: config.Amounts{"USD": 500, "EUR": 450}}}},
		"taxed":           {Payment: with(func(p *entitlement.Payment) { p.Tax = 80 })},
		"no terms":        {Payment: payment, Terms: map[string]entitlement.Terms{"pdt_1": {}}},
		"only a plan":     {Payment: payment, Terms: map[string]entitlement.Terms{"pdt_1": {Plan: "pro"}}},
		"escaped plan":    {Payment: payment, Terms: map[string]entitlement.Terms{"pdt_1": {Plan: `a<b>&"\`}}},
		"plan of Unicode": {Payment: payment, Terms: map[string]entitlement.Terms{"pdt_1": {Plan: "plän\u2028\xff"}}},
		"two terms":       {Payment: payment, Terms: map[string]entitlement.Terms{"pdt_2": {Credits: 1}, "pdt_1": {}}},
		"two lines": {Payment: with(func(p *entitlement.Payment) {
			p.Cart = []entitlement.Line{{ProductID: "a", Quantity: 2}, {ProductID: "b"}}
		})},
		"empty cart":        {Payment: with(func(p *entitlement.Payment) { p.Cart = []entitlement.Line{} })},
		"of a subscription": {Payment: with(func(p *entitlement.Payment) { p.Cart, p.Subscription = nil, "sub_1" })},
		"only a status":     {Payment: entitlement.Payment{Status: "failed"}},
		"method only":       {Payment: with(func(p *entitlement.Payment) { p.Total, p.MethodOnly = 0, true })},
		"refunded": {Payment: with(func(p *entitlement.Payment) {
			p.RefundedFully, p.Refunds = true, map[string]entitlement.Refund{"ref_1": {Status: "succeeded", Amount: 5}}
		})},
		"refunded, nobody says how": {Payment: with(func(p *entitlement.Payment) { p.RefundedFully = true })},
		"disputed": {Payment: with(func(p *entitlement.Payment) {
			p.Disputes = map[string]entitlement.DisputeStatus{"dp_1": "opened"}
		})},
		"of another zone":      {Payment: with(func(p *entitlement.Payment) { p.CreatedAt = at.In(time.FixedZone("", 3600)) })},
		"subscription":         {Subscription: entitlement.Subscription{State: entitlement.SubscriptionState{Status: "active", At: at}}},
		"both":                 {Payment: payment, Subscription: entitlement.Subscription{GraceEndsAt: at}},
		"feature of a payment": {Payment: payment, Feature: entitlement.Feature{Name: "f"}},
		"controls":             {Payment: with(func(p *entitlement.Payment) { p.Currency = "\x00\x1f\x7f" })},
		"feature":              {Feature: entitlement.Feature{Status: "delivered", At: at, Name: "f"}},
		"import":               {Import: entitlement.Import{AsOf: at}},
		"settled":              {Payment: payment, Settled: entitlement.Settled{Before: at}},
	} {
		same(t, name, r, r.AppendJSON)
		same(t, "terms of "+name, r.Terms, func(b []byte) ([]byte, error) { return entitlement.AppendTerms(b, r.Terms) })
	}
	for name, s := range map[string]entitlement.Standing{
		"nothing":   {},
		"usual":     {Paid: true, PaidAt: at},
		"only paid": {Paid: true},
		"only when": {PaidAt: at},
		"passes": {PaidAt: at, Passes: []entitlement.Pass{
			{Plan: "pro", PaidAt: at, Lasts: time.Hour}, {Plan: "basic"},
		}},
		"only a pass":  {Passes: []entitlement.Pass{{Plan: "pro"}}},
		"escaped plan": {Passes: []entitlement.Pass{{Plan: "a&b"}}},
		"renewal":      {Renewal: &entitlement.Renewal{}},
		"next":         {PaidAt: at, Freshness: &entitlement.Freshness{StaleAt: at}},
		"feature":      {Feature: "f"},
	} {
		same(t, name, s, s.AppendJSON)
	}
	late := entitlement.Record{Payment: with(func(p *entitlement.Payment) { p.CreatedAt = at.AddDate(9000, 0, 0) })}
	if b, err := late.AppendJSON(nil); err == nil {
		t.Errorf("a time that JSON cannot write was written: %s", b)
	}
}

// TestEveryFieldIsStored: a record and a standing with something in every field are written
// as encoding/json writes them, and the record comes back.
func TestEveryFieldIsStored(t *testing.T) {
	var r entitlement.Record
	fill(reflect.ValueOf(&r).Elem())
	same(t, "record", r, r.AppendJSON)
	comesBack(t, r)
	var s entitlement.Standing
	fill(reflect.ValueOf(&s).Elem())
	same(t, "standing", s, s.AppendJSON)
}

// fill sets a value and everything in it.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if at, ok := v.Addr().Interface().(*time.Time); ok {
			*at = time.Date(2026, time.May, 4, 12, 0, 0, 123_456_789, time.UTC)
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, name := range []string{"b", "a&b"} {
			item := reflect.New(v.Type().Elem()).Elem()
			fill(item)
			v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), item)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.String:
		v.SetString("<ä>")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(1 << 60)
	default:
		panic(v.Type())
	}
}

// comesBack: what is stored is read as encoding/json reads it.
func comesBack(t interface{ Fatalf(string, ...any) }, r entitlement.Record) {
	text, err := r.AppendJSON(nil)
	if err != nil {
		return
	}
	var want entitlement.Record
	wantErr := json.Unmarshal(text, &want)
	if got, err := entitlement.ParseRecord(text); (err == nil) != (wantErr == nil) || !reflect.DeepEqual(got, want) {
		t.Fatalf("%s is read as %+v, %v; want %+v, %v", text, got, err, want, wantErr)
	}
}

// drawText is mostly plain, and else anything that a string can hold.
var drawText = rapid.OneOf(
	rapid.StringMatching(`[a-z_]{0,4}`), rapid.StringMatching(`[a-z_]{0,4}`), rapid.String(),
	rapid.SampledFrom([]string{`\`, `"`, `<`, `>`, `&`, "\x00", "\x1f", "\x7f", "\u2028", "\xff"}),
	rapid.Map(rapid.SliceOfN(rapid.Byte(), 1, 2), func(b []byte) string { return string(b) }),
)

func drawTime(t *rapid.T, name string) time.Time {
	if rapid.IntRange(0, 3).Draw(t, name+" is known") == 0 {
		return time.Time{}
	}
	at := time.Unix(rapid.Int64Range(-62135596800, 253402300799).Draw(t, name), rapid.Int64Range(0, 999_999_999).Draw(t, name+" ns"))
	return at.In(time.FixedZone("", rapid.SampledFrom([]int{0, 3600, -5400, 86399, 1}).Draw(t, name+" zone")))
}

// TestAppendJSONOfAnything: encoding fails exactly when encoding/json fails.
func TestAppendJSONOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string { return drawText.Draw(t, name) }
		terms := make(map[string]entitlement.Terms)
		for range rapid.IntRange(0, 2).Draw(t, "terms") {
			terms[text("product of terms")] = entitlement.Terms{
				Credits: rapid.Int64().Draw(t, "credits"), CreditsExpire: time.Duration(rapid.Int64Range(-1, 1).Draw(t, "expire")),
				CreditsStay: rapid.Bool().Draw(t, "stay"), Plan: text("plan"), Lasts: time.Duration(rapid.Int64().Draw(t, "lasts")),
			}
		}
		for product, t2 := range terms {
			if rapid.Bool().Draw(t, "guarded") {
				t2.MinAmount = config.Amounts{"USD": 5, "EUR": 4}
				terms[product] = t2
			}
		}
		p := entitlement.Payment{
			Status: entitlement.PaymentStatus(text("status")), Total: rapid.Int64().Draw(t, "total"), Tax: rapid.Int64Range(-1, 1).Draw(t, "tax"), Currency: text("currency"),
			Subscription: text("subscription"), CreatedAt: drawTime(t, "created"),
			MethodOnly: rapid.Bool().Draw(t, "method"), RefundedFully: rapid.Bool().Draw(t, "fully"),
		}
		for range rapid.IntRange(0, 2).Draw(t, "lines") {
			p.Cart = append(p.Cart, entitlement.Line{ProductID: text("product"), Quantity: rapid.Int64().Draw(t, "quantity")})
		}
		r := entitlement.Record{Payment: p, Terms: terms}
		if rapid.IntRange(0, 3).Draw(t, "more") == 0 {
			r.Feature.Name = text("feature")
			r.Subscription.GraceEndsAt = drawTime(t, "grace")
			r.Payment.Refunds = map[string]entitlement.Refund{text("refund"): {}}
		}
		st := entitlement.Standing{Paid: rapid.Bool().Draw(t, "paid"), PaidAt: drawTime(t, "paid at"), Feature: r.Feature.Name}
		for range rapid.IntRange(0, 2).Draw(t, "passes") {
			st.Passes = append(st.Passes, entitlement.Pass{Plan: text("plan"), PaidAt: drawTime(t, "pass"), Lasts: 1})
		}
		alike(t, r, r.AppendJSON)
		comesBack(t, r)
		alike(t, st, st.AppendJSON)
		alike(t, terms, func(b []byte) ([]byte, error) { return entitlement.AppendTerms(b, terms) })
	})
}

func alike(t *rapid.T, value any, appends func([]byte) ([]byte, error)) {
	want, wantErr := json.Marshal(value)
	got, err := appends(nil)
	if (err == nil) != (wantErr == nil) || err == nil && string(got) != string(want) {
		t.Fatalf("%s, %v; want %s, %v", got, err, want, wantErr)
	}
}

func same(t *testing.T, name string, value any, appends func([]byte) ([]byte, error)) {
	t.Helper()
	want, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	got, err := appends([]byte("before"))
	if err != nil || string(got) != "before"+string(want) {
		t.Errorf("%s: %s, %v; want %s", name, got, err, want)
	}
}
