package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// What passes keep in the store, in notes of at most 1,024 bytes. Times are whole seconds since
// 1970, as Dodo's lists have them; 0 is none.

// passNote is a note as it was read or written last. It is replaced only if it is still so,
// because another gateway may have taken over.
type passNote struct{ name, text string }

func (n *passNote) load(ctx context.Context, s store.Client) (err error) {
	n.text, err = s.Note(ctx, n.name, "", "")
	return err
}

func (n *passNote) save(ctx context.Context, s store.Client, text string) error {
	if text == n.text {
		return nil
	}
	kept, err := s.Note(ctx, n.name, n.text, text)
	if err != nil {
		return err
	}
	if kept != text {
		return fmt.Errorf("%w: it has changed the note %s", ErrElsewhere, n.name)
	}
	n.text = text
	return nil
}

// cursor is how far a walk has come: everything before Next is done.
type cursor struct {
	Began int64 `json:"began"`          // when the walk began
	Next  int64 `json:"next,omitempty"` // 0: nothing is done, from the beginning on
	Step  int64 `json:"step,omitempty"` // how long the next window is; 0: to the end
	Pages int64 `json:"pages,omitempty"`
	// All: a rebuild began it.
	All bool `json:"all,omitempty"`
	// sure: windows of this length have been read, so it need not be tested again.
	sure bool
	// end is where the walk ends; 0: nowhere, so that also what is made meanwhile is read.
	end int64
}

// listState is how far the passes have come with one list.
type listState struct {
	// Mark: everything made before it has been seen, unless it is a gap or belongs to Full.
	Mark int64 `json:"mark,omitempty"`
	// Far is when a walk began that looked far back.
	Far int64 `json:"far,omitempty"`
	// FullAt is when a walk of the whole list began that came to its end, and Pages how long it
	// was.
	FullAt int64 `json:"full_at,omitempty"`
	Pages  int64 `json:"pages,omitempty"`
	// Recent and Full are walks under way: of what is new, and of the whole list.
	Recent *cursor `json:"recent,omitempty"`
	Full   *cursor `json:"full,omitempty"`
	// Error is why the list could not be read in the last pass, and ErrorAt since when.
	Error   string `json:"error,omitempty"`
	ErrorAt int64  `json:"error_at,omitempty"`
}

// maxStateError bounds what is kept of an error, in bytes.
const maxStateError = 400

func parseListState(text string) (s listState, err error) {
	if text == "" {
		return listState{}, nil
	}
	err = json.Unmarshal([]byte(text), &s)
	return s, err
}

// gap is a window of a list that could not be read, mostly a second long.
type gap struct {
	From, To int64
	Tries    int64
	Due      int64 // when it is tried again
}

// mostGaps is how many gaps of a list fit into a note. When there are more, the list fails.
const mostGaps = 20

func encodeGaps(gaps []gap) string {
	rows := make([][4]int64, len(gaps))
	for i, g := range gaps {
		rows[i] = [4]int64{g.From, g.To, g.Tries, g.Due}
	}
	text, _ := json.Marshal(rows) // numbers can always be encoded
	return string(text)
}

func parseGaps(text string) (gaps []gap, err error) {
	if text == "" {
		return nil, nil
	}
	var rows [][4]int64
	err = json.Unmarshal([]byte(text), &rows)
	for _, r := range rows {
		gaps = append(gaps, gap{From: r[0], To: r[1], Tries: r[2], Due: r[3]})
	}
	return gaps, err
}

// retryAfter is how long to wait for the next try of what could not be read. The first one is
// in the next pass.
func retryAfter(tries int64) time.Duration {
	const first, longest = 10 * time.Minute, 24 * time.Hour
	if tries <= 1 {
		return 0
	}
	return min(first<<min(tries-2, 10), longest)
}

// unreadObject is an object that Dodo did not hand out, or that could not be applied because of
// what is stored of it.
type unreadObject struct {
	tries int64
	due   int64 // when it is tried again
	note  int
}

// unreadObjects are kept apart from the lists in several notes, so that they hold up nothing.
type unreadObjects struct {
	notes  [unreadNotes]passNote
	byRef  map[string]unreadObject
	length [unreadNotes]int // bytes
}

const (
	unreadNotes    = 12
	maxNote        = 1024 // bytes, of the store
	unreadSlack    = 100  // bytes of a note, for lines that get longer
	mostTries      = 45   // about six weeks
	emptyUnread    = "-"
	unreadNoteName = "reconcile unread "
)

func loadUnread(ctx context.Context, s store.Client) (*unreadObjects, error) {
	u := &unreadObjects{byRef: make(map[string]unreadObject)}
	for i := range u.notes {
		u.notes[i].name = unreadNoteName + strconv.Itoa(i)
	}
	for i := range u.notes {
		if err := u.notes[i].load(ctx, s); err != nil {
			return nil, err
		}
		if u.notes[i].text == "" {
			break // notes are used in their order, and never empty again
		}
		for line := range strings.Lines(u.notes[i].text) {
			var ref string
			o := unreadObject{note: i}
			if n, _ := fmt.Sscanf(line, "%s %d %d", &ref, &o.tries, &o.due); n == 3 {
				u.byRef[ref] = o
				u.length[i] += len(line)
			}
		}
	}
	return u, nil
}

func unreadLine(ref string, o unreadObject) string {
	return fmt.Sprintf("%s %d %d\n", ref, o.tries, o.due)
}

// failed keeps an object apart, or notes that another try failed. It returns false if there is
// no room.
func (u *unreadObjects) failed(ref string, now time.Time) bool {
	o, known := u.byRef[ref]
	o.tries++
	o.due = now.Add(retryAfter(o.tries)).Unix()
	size := len(unreadLine(ref, o))
	if !known {
		o.note = slices.IndexFunc(u.length[:], func(n int) bool { return n+size <= maxNote-unreadSlack })
		if o.note < 0 {
			return false
		}
		u.length[o.note] += size
	}
	u.byRef[ref] = o
	return true
}

func (u *unreadObjects) forget(ref string) {
	if o, known := u.byRef[ref]; known {
		u.length[o.note] -= len(unreadLine(ref, o))
		delete(u.byRef, ref)
	}
}

// of counts the objects of a kind.
func (u *unreadObjects) of(kind entitlement.Kind) (n int) {
	for ref := range u.byRef {
		if of, ok := entitlement.ParseRef(ref); ok && of.Kind == kind {
			n++
		}
	}
	return n
}

// due are the objects that it is time to try again, in the order of their turns.
func (u *unreadObjects) due(now time.Time) []entitlement.Ref {
	var refs []string
	for ref, o := range u.byRef {
		if o.due <= now.Unix() {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, func(a, b string) int {
		if d := u.byRef[a].due - u.byRef[b].due; d != 0 {
			return int(max(min(d, 1), -1))
		}
		return strings.Compare(a, b)
	})
	parsed := make([]entitlement.Ref, 0, len(refs))
	for _, text := range refs {
		if ref, ok := entitlement.ParseRef(text); ok {
			parsed = append(parsed, ref)
		}
	}
	return parsed
}

func (u *unreadObjects) save(ctx context.Context, s store.Client) error {
	var texts [unreadNotes]strings.Builder
	refs := make([]string, 0, len(u.byRef))
	for ref := range u.byRef {
		refs = append(refs, ref)
	}
	slices.Sort(refs)
	for _, ref := range refs {
		o := u.byRef[ref]
		texts[o.note].WriteString(unreadLine(ref, o))
	}
	for i := range u.notes {
		u.length[i] = texts[i].Len()
		text := texts[i].String()
		if text == "" && u.notes[i].text != "" {
			text = emptyUnread
		}
		if err := u.notes[i].save(ctx, s, text); err != nil {
			return err
		}
	}
	return nil
}
