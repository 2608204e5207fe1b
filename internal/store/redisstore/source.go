package redisstore

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store/record"
)

// source is what decisions find of an account in Redis. What a decision asks for and nobody
// has read is taken to be as it is likely to be, and compared before anything is written; or
// it is read before the decision is made again. All decisions that are written together are told
// the same.
type source struct {
	account string
	keys    accountKeys
	now     time.Time // by the server's clock
	whole   bool      // standings are read, too
	read    bool      // the account was read for these decisions

	holds   []heldItem
	items   []item
	written []item // orders and keys that a book has changed, as they will be read
	// room for what mostly are no more
	roomHolds [1]heldItem
	room      [1]item
}

var _ book.Source = (*source)(nil)

// heldItem is a hold that decisions asked for.
type heldItem struct {
	id     string
	likely string // what is stored of it, if decisions were right; "" is nothing
	loaded bool
	text   string           // what is stored of it, if it is loaded; "" is none
	told   bool             // to a decision, if it is not loaded
	placed *book.PlacedHold // what was told
}

// item is another thing that decisions asked for.
type item struct {
	name, key string   // the command that reads it
	words     []string // of it
	want      string   // "=" and what it must say, while it was not read; see account.lua
	loaded    bool
	reply     []string
	order     *book.Order // that the reply says, once it was parsed; it is never changed
}

// begin begins decisions anew.
func (src *source) begin() {
	for i := range src.items {
		src.items[i].want = ""
	}
	for i := range src.holds {
		h := &src.holds[i]
		h.likely = h.text // what was read must be so, too
		h.told, h.placed = false, nil
	}
}

// certain reports whether the account and all that decisions were made by was read.
func (src *source) certain() bool { return src.read && src.compared() }

// compared reports whether nothing but the account itself was taken for likely.
func (src *source) compared() bool {
	return !slices.ContainsFunc(src.items, func(it item) bool { return it.want != "" }) &&
		!slices.ContainsFunc(src.holds, func(h heldItem) bool { return !h.loaded })
}

// find returns the item that a command reads.
func (src *source) find(name, key string, words ...string) *item {
	word := ""
	if name == "HGET" {
		word = words[0]
	}
	i := src.index(name, key, word)
	if i < 0 {
		i = len(src.items)
		src.items = append(src.items, item{key: key, name: name, words: words})
	}
	return &src.items[i]
}

// index is the place of an item; -1 is none. Of a hash, each field is one.
func (src *source) index(name, key, field string) int {
	return slices.IndexFunc(src.items, func(it item) bool {
		return it.key == key && it.name == name && (field == "" || it.words[0] == field)
	})
}

// maxItems is how many orders and keys are remembered of an account.
const maxItems = 4

// note notes how an order or a key will be read; without values there is none.
func (src *source) note(key string, fields, values []string) *item {
	if values == nil {
		values = make([]string, len(fields))
	}
	src.written = append(src.written, item{key: key, name: "HMGET", words: fields, loaded: true, reply: values})
	return &src.written[len(src.written)-1]
}

// made is the first of orderFields, which never changes; "" is not known.
func (src *source) made(key string) string {
	i := src.index("HMGET", key, "")
	if i < 0 || !src.items[i].loaded {
		return ""
	}
	return src.items[i].reply[0]
}

// after are the items of orders and keys that a book has found or written, as they will be read:
// who creates an order opens it next, and then it is paid.
func (src *source) after() []item {
	items := slices.Clip(src.written)
	for _, it := range src.items {
		if len(items) >= maxItems {
			break
		}
		kept := it.loaded && it.name == "HMGET" && !src.keys.isObject(it.key)
		if kept && !slices.ContainsFunc(src.written, func(w item) bool { return w.key == it.key }) {
			items = append(items, it)
		}
	}
	return items
}

// text is a value of one element, "" if there is none. What was not read is likely to be so, and
// as likely as it was to the first who asked.
func (it *item) text(likely string) string {
	switch {
	case !it.loaded:
		if it.want == "" {
			it.want = "=" + likely
		}
		return it.want[1:]
	case len(it.reply) == 0:
		return ""
	default:
		return it.reply[0]
	}
}

// Hold implements [book.Source].
func (src *source) Hold(id string, likely *book.PlacedHold) (*book.PlacedHold, error) {
	i := slices.IndexFunc(src.holds, func(h heldItem) bool { return h.id == id })
	if i < 0 {
		i = len(src.holds)
		src.holds = append(src.holds, heldItem{id: id})
	}
	h := &src.holds[i]
	switch {
	case h.loaded && h.text == "":
		return nil, nil
	case h.loaded:
		return parseHold(id, h.text)
	case !h.told:
		if h.told, h.placed = true, likely; likely != nil {
			h.likely = writeHold(likely)
		}
	}
	return h.placed, nil
}

// Holds implements [book.Source].
func (src *source) Holds(limit int) ([]*book.PlacedHold, error) {
	it := src.find("ZRANGEBYSCORE", src.keys.expiring, "-inf", "+inf", "LIMIT", "0", strconv.Itoa(limit))
	if !it.loaded {
		return nil, book.ErrUnread
	}
	var holds []*book.PlacedHold
	for _, id := range it.reply {
		h, err := src.Hold(id, nil)
		if err != nil {
			return nil, err
		}
		if h != nil { // else it is about to be read
			holds = append(holds, h)
		}
	}
	return holds, nil
}

// Ended implements [book.Source]. The end of a hold of a caller without a name is not kept:
// that caller never uses an id again, so what it spent is among the latest entries.
func (src *source) Ended(id, by string) (*book.EndedHold, error) {
	if by == "" {
		return src.captured(id)
	}
	text := src.find("GET", src.keys.ended(id)).text("")
	if text == "" {
		return nil, nil
	}
	return parseEnded(text)
}

// latest is how many entries are looked at for what a hold spent.
const latest = 1000

func (src *source) captured(id string) (*book.EndedHold, error) {
	it := src.find("LRANGE", src.keys.entries, strconv.Itoa(-latest), "-1")
	if !it.loaded {
		return nil, book.ErrUnread
	}
	var end *book.EndedHold
	for _, line := range it.reply {
		if !strings.HasSuffix(line, id) {
			continue
		}
		e, err := record.ParseEntry(line)
		if err != nil {
			return nil, err
		}
		if e.Cause != id || e.Kind != ledger.KindCapture {
			continue
		}
		if end == nil {
			end = &book.EndedHold{Until: e.At.Add(forgetful)}
		}
		end.Captured -= e.Amount
	}
	return end, nil
}

// forgetful is how long what a caller without a name spent is found again: for as long as it is
// among the latest entries.
const forgetful = 24 * time.Hour

// Closed implements [book.Source].
func (src *source) Closed(grant string) (g ledger.Grant, found bool, err error) {
	text := src.find("HGET", src.keys.closed, grant).text("")
	if text == "" {
		return g, false, nil
	}
	g, err = record.ParseGrant(grant, text)
	return g, err == nil, err
}

// objectFields are the fields of an object's hash.
var objectFields = [...]string{"version", "state"}

// Object implements [book.Source].
func (src *source) Object(ref entitlement.Ref, isNew bool) (book.Object, error) {
	values, err := src.hash(src.keys.object(ref), isNew, objectFields[:])
	if err != nil || values == nil {
		return book.Object{}, err
	}
	return parseObject(values[0], values[1])
}

// hash is the fields of a hash, nil if there is none. One that was not read is likely to be
// new, or else it has to be read.
func (src *source) hash(key string, isNew bool, fields []string) (values []string, err error) {
	it := src.find("HMGET", key, fields...)
	switch {
	case it.loaded && it.reply[0] == "":
		if slices.ContainsFunc(it.reply, func(value string) bool { return value != "" }) {
			return nil, book.Damaged("stored hash %.60q has no %s", strings.TrimPrefix(key, src.keys.base), fields[0])
		}
		return nil, nil
	case it.loaded:
		return it.reply, nil
	case isNew:
		src.find("EXISTS", key).want = "=0"
		return nil, nil
	default:
		return nil, book.ErrUnread
	}
}

// Order implements [book.Source].
func (src *source) Order(id string, isNew bool) (*book.Order, error) {
	key := src.keys.order(id)
	values, err := src.hash(key, isNew, orderFields[:])
	if err != nil || values == nil {
		return nil, err
	}
	it := src.find("HMGET", key)
	if it.order == nil {
		it.order, err = parseOrder(src.account, id, values)
	}
	return it.order, err
}

// keyFields are the fields of an idempotency key's hash.
var keyFields = [...]string{"order", "by", "fingerprint", "done", "until"}

// Key implements [book.Source].
func (src *source) Key(hash string) (*book.UsedKey, error) {
	values, err := src.hash(src.keys.key(hash), true, keyFields[:])
	if err != nil || values == nil {
		return nil, err
	}
	until, err := record.ParseMillis(values[4])
	return &book.UsedKey{Order: values[0], By: values[1], Fingerprint: values[2], Done: values[3] == "1", Until: until}, err
}

// OpenOrders implements [book.Source]. Mostly there are none.
func (src *source) OpenOrders() (int, error) {
	it := src.find("ZCOUNT", src.keys.unpaid(), "("+record.Millis(src.now), "+inf")
	return strconv.Atoi(it.text("0"))
}

// writeHold writes a hold as "expires #by #fingerprint by..fingerprint..parts", where a part is
// "#grant amount grant".
func writeHold(h *book.PlacedHold) string { return string(appendHold(make([]byte, 0, 128), h)) }

func appendHold(b []byte, h *book.PlacedHold) []byte {
	number := func(n int64) { b = append(strconv.AppendInt(b, n, 10), ' ') }
	number(h.ExpiresAt.UnixMilli())
	number(int64(len(h.By)))
	number(int64(len(h.Fingerprint)))
	b = append(append(b, h.By...), h.Fingerprint...)
	for _, p := range h.Parts {
		number(int64(len(p.Grant)))
		number(p.Amount)
		b = append(b, p.Grant...)
	}
	return b
}

// parseHold reads what writeHold wrote.
func parseHold(id, text string) (*book.PlacedHold, error) {
	h := &book.PlacedHold{Hold: ledger.Hold{ID: id}}
	damaged := book.Damaged("stored hold: %.40q", text)
	expires, rest, _ := strings.Cut(text, " ")
	var err error
	if h.ExpiresAt, err = record.ParseMillis(expires); err != nil {
		return nil, damaged
	}
	by, rest, ok1 := cutNumber(rest)
	fingerprint, rest, ok2 := cutNumber(rest)
	if !ok1 || !ok2 || by > int64(len(rest)) || fingerprint > int64(len(rest))-by {
		return nil, damaged
	}
	h.By, h.Fingerprint = rest[:by], rest[by:by+fingerprint]
	for rest = rest[by+fingerprint:]; rest != ""; {
		size, after, ok1 := cutNumber(rest)
		amount, after, ok2 := cutNumber(after)
		if !ok1 || !ok2 || size > int64(len(after)) {
			return nil, damaged
		}
		h.Parts = append(h.Parts, ledger.Part{Grant: after[:size], Amount: amount})
		rest = after[size:]
	}
	return h, nil
}

// writeEnded writes the end of a hold as "until captured #by #fingerprint
// by..fingerprint..receipt".
func writeEnded(e *book.EndedHold) string {
	return fmt.Sprintf("%d %d %d %d %s%s%s", e.Until.UnixMilli(), e.Captured, len(e.By), len(e.Fingerprint), e.By, e.Fingerprint, e.Receipt)
}

// parseEnded reads what writeEnded wrote.
func parseEnded(text string) (*book.EndedHold, error) {
	damaged := book.Damaged("stored end of a hold: %.40q", text)
	until, rest, ok1 := cutNumber(text)
	captured, rest, ok2 := cutNumber(rest)
	by, rest, ok3 := cutNumber(rest)
	fingerprint, rest, ok4 := cutNumber(rest)
	if !ok1 || !ok2 || !ok3 || !ok4 || by > int64(len(rest)) || fingerprint > int64(len(rest))-by {
		return nil, damaged
	}
	e := &book.EndedHold{Until: time.UnixMilli(until).UTC(), Captured: captured, By: rest[:by], Fingerprint: rest[by : by+fingerprint]}
	if receipt := rest[by+fingerprint:]; receipt != "" {
		e.Receipt = []byte(receipt)
	}
	return e, nil
}

// cutNumber reads digits and the space after them.
func cutNumber(text string) (n int64, rest string, ok bool) {
	digits, rest, found := strings.Cut(text, " ")
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, rest, found && err == nil && n >= 0
}
