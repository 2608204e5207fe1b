package record

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	json "github.com/go-json-experiment/json/v1"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// Grant writes a grant, but for its id, as
// "amount left held lapsed waived expires created", and " starts waiting" after it if
// something waits.
func Grant(g ledger.Grant) string { return string(AppendGrant(make([]byte, 0, 64), g)) }

// AppendGrant appends what Grant writes.
func AppendGrant(b []byte, g ledger.Grant) []byte {
	for _, n := range [...]int64{g.Amount, g.Left, g.Held, g.Lapsed, g.Waived} {
		b = append(strconv.AppendInt(b, n, 10), ' ')
	}
	b = append(AppendMillis(b, g.ExpiresAt), ' ')
	b = AppendMillis(b, g.CreatedAt)
	if g.Waiting == 0 {
		return b
	}
	b = append(AppendMillis(append(b, ' '), g.StartsAt), ' ')
	return strconv.AppendInt(b, g.Waiting, 10)
}

// ParseGrant reads what Grant wrote.
func ParseGrant(id, s string) (ledger.Grant, error) {
	spaces := strings.Count(s, " ")
	if spaces != 6 && spaces != 8 {
		return ledger.Grant{}, errDamaged("grant", s)
	}
	g := ledger.Grant{ID: id}
	var field string
	rest := s
	for _, to := range [...]*int64{&g.Amount, &g.Left, &g.Held, &g.Lapsed, &g.Waived} {
		field, rest, _ = strings.Cut(rest, " ")
		var ok bool
		if *to, ok = parseCredits(field); !ok {
			return ledger.Grant{}, errDamaged("grant", s)
		}
	}
	expires, rest, _ := strings.Cut(rest, " ")
	created, rest, waits := strings.Cut(rest, " ")
	var err error
	if g.ExpiresAt, err = ParseMillis(expires); err != nil {
		return ledger.Grant{}, err
	}
	if g.CreatedAt, err = ParseMillis(created); err != nil || !waits {
		return g, err
	}
	starts, waiting, _ := strings.Cut(rest, " ")
	var ok bool
	if g.Waiting, ok = parseCredits(waiting); !ok || g.Waiting == 0 {
		return ledger.Grant{}, errDamaged("grant", s)
	}
	g.StartsAt, err = ParseMillis(starts)
	return g, err
}

// parseCredits reads an amount, and reports whether it is one.
func parseCredits(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0 && n <= ledger.Max
}

// Entry writes an entry as "seq at kind amount balance n grantcause", where the
// grant's id is the first n bytes of the rest.
func Entry(e ledger.Entry) string { return string(AppendEntry(nil, e)) }

// AppendEntry appends what Entry writes.
func AppendEntry(b []byte, e ledger.Entry) []byte {
	b = append(strconv.AppendInt(b, e.Seq, 10), ' ')
	b = append(AppendMillis(b, e.At), ' ')
	b = append(append(b, e.Kind...), ' ')
	for _, n := range [...]int64{e.Amount, e.Balance, int64(len(e.Grant))} {
		b = append(strconv.AppendInt(b, n, 10), ' ')
	}
	return append(append(b, e.Grant...), e.Cause...)
}

// ParseEntry reads what Entry wrote.
func ParseEntry(s string) (ledger.Entry, error) {
	var f [6]string
	rest := s
	for i := range f {
		var more bool
		if f[i], rest, more = strings.Cut(rest, " "); !more {
			return ledger.Entry{}, errDamaged("entry", s)
		}
	}
	e := ledger.Entry{Kind: ledger.Kind(f[2])}
	var n int64
	var err1, err2, err3, err4 error
	e.Seq, err1 = strconv.ParseInt(f[0], 10, 64)
	e.Amount, err2 = strconv.ParseInt(f[3], 10, 64)
	e.Balance, err3 = strconv.ParseInt(f[4], 10, 64)
	n, err4 = strconv.ParseInt(f[5], 10, 64)
	outside := func(n int64) bool { return n < -ledger.Max || n > ledger.Max }
	// Between a claw-back and the waiver that follows it, more is owed than an account can owe.
	low := e.Balance < -2*ledger.Max
	if errors.Join(err1, err2, err3, err4) != nil || e.Seq < 1 || outside(e.Seq) || outside(e.Amount) || low || e.Balance > ledger.Max || n < 0 || n > int64(len(rest)) {
		return ledger.Entry{}, errDamaged("entry", s)
	}
	var err error
	if e.At, err = ParseMillis(f[1]); err != nil {
		return ledger.Entry{}, err
	}
	e.Grant, e.Cause = rest[:n], rest[n:]
	return e, nil
}

// Standing writes a standing as JSON, its times to the nanosecond; one that
// contributes nothing is "".
func Standing(s entitlement.Standing) (string, error) {
	if s.IsZero() {
		return "", nil
	}
	b, err := s.AppendJSON(nil)
	if err != nil {
		return "", fmt.Errorf("write standing: %w", err)
	}
	return string(b), nil
}

// ParseStanding reads what Standing wrote.
func ParseStanding(s string) (entitlement.Standing, error) {
	var st entitlement.Standing
	if err := json.Unmarshal([]byte(s), &st); err != nil {
		return st, errDamaged("standing", s)
	}
	return st, nil
}
