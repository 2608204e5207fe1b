package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/dodo"
)

// walk is how a pass goes through one list. Each list has its own mark and its own failure.
//
// A list is walked from the mark on by windows of creation time, from the oldest to the newest.
// When a window has been read, that is noted in the store, so that a restart continues there. A
// window is split that has more pages than a pass reads at once, or than Dodo lists, or a page
// that cannot be read. If it is a second long, it becomes a [gap].
type walk struct {
	*reconciliation
	list     list
	state    listState
	note     passNote
	gapsNote passNote
	gaps     []gap
	most     int   // pages of a window; less when Dodo lists fewer
	pages    int   // that were read of a list without windows
	failed   error // why the list is not read further in this pass
}

const (
	// windowPages is how many pages a window has at most, at 100 objects each. Dodo refuses
	// deeper pages than it says nowhere (FACTS 1.6).
	windowPages = 20
	// wantedPages is how many pages the next window should have.
	wantedPages = windowPages / 2
	// longerWindow is how many times longer a window is at most than the one before.
	longerWindow = 4
	// gapRetries is how many gaps of a list a pass tries to close.
	gapRetries = 5
	// gapMargin is how much later than now an open window is taken to end when it becomes a gap,
	// because Dodo's clock may be ahead of the gateway's.
	gapMargin = 10 * time.Minute
	// A list that changes is walked from end to end again when about this much time has passed
	// for each of its pages, and at the latest after a day: at the usual budget of a call a
	// second it is under way for a quarter of the time.
	fullEveryPage = 4 * time.Second
	fullEvery     = 24 * time.Hour
)

// dodoBegan is before anything was made at Dodo. The windows before the first object are counted
// from here.
var dodoBegan = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Unix()

func newWalk(r *reconciliation, l list) *walk {
	name := "reconcile " + string(l.name)
	return &walk{reconciliation: r, list: l, most: windowPages, note: passNote{name: name}, gapsNote: passNote{name: name + " gaps"}}
}

// load reads what is kept of the list. mark and far are those of an earlier release, which had
// one for all lists.
func (w *walk) load(ctx context.Context, mark, far time.Time) (err error) {
	if err := w.note.load(ctx, w.store); err != nil {
		return err
	}
	if err := w.gapsNote.load(ctx, w.store); err != nil {
		return err
	}
	if w.state, err = parseListState(w.note.text); err == nil {
		w.gaps, err = parseGaps(w.gapsNote.text)
	}
	if err != nil {
		w.logger.Warn("what was noted of one of Dodo's lists is damaged; the list is read from the beginning", "list", w.list.name, "error", err)
		w.state, w.gaps = listState{}, nil
	}
	if w.note.text == "" && !mark.IsZero() {
		w.state.Mark, w.state.FullAt = mark.Unix(), mark.Unix()
		if !far.IsZero() {
			w.state.Far = far.Unix()
		}
	}
	full := w.state.Full
	switch {
	case w.all && (full == nil || !full.All): // the beginning of another walk may lack what this one finds
		w.state.Full = &cursor{Began: w.began.Unix(), All: true}
	case full == nil && w.fullIsDue():
		w.state.Full = &cursor{Began: w.began.Unix()}
	}
	return nil
}

// fullIsDue reports whether the whole list is to be walked.
func (w *walk) fullIsDue() bool {
	if w.state.FullAt == 0 {
		return true
	}
	if !w.list.changing {
		return false
	}
	rest := min(time.Duration(w.state.Pages)*fullEveryPage, fullEvery)
	return w.state.Pages <= windowPages || w.began.Sub(time.Unix(w.state.FullAt, 0)) >= rest
}

// begin tries the gaps again and reads what is new, of a short list all there is.
func (w *walk) begin(ctx context.Context) error {
	if w.list.page == nil {
		if w.state.Full == nil {
			return nil
		}
		if err := w.features(ctx); err != nil {
			return err
		}
		w.state.Full.Pages = int64(w.pages)
		w.endFull()
		return w.save(ctx)
	}
	if err := w.retryGaps(ctx); err != nil {
		return err
	}
	if full := w.state.Full; full != nil && full.Next == 0 && full.Step == 0 {
		// If it has one window, that is all there is.
		if err := w.stepFull(ctx); err != nil || w.state.Full == nil {
			return err
		}
	}
	return w.recent(ctx)
}

// stepFull reads the next window of a walk of the whole list.
func (w *walk) stepFull(ctx context.Context) error {
	full := w.state.Full
	if full == nil || w.list.page == nil {
		return nil
	}
	done, err := w.step(ctx, full)
	if err != nil {
		return err
	}
	if done {
		w.endFull()
	}
	return w.save(ctx)
}

// endFull notes that the whole list was read.
func (w *walk) endFull() {
	full := w.state.Full
	w.state.Full, w.state.FullAt, w.state.Pages = nil, full.Began, full.Pages
	w.state.Mark, w.state.Far = max(w.state.Mark, full.Began), max(w.state.Far, full.Began)
	w.clearError()
}

// recent reads what is new, or continues to.
func (w *walk) recent(ctx context.Context) error {
	if w.list.page == nil {
		return nil
	}
	now := w.clock()
	if w.state.Recent == nil {
		back, from := w.list.back, now.Unix()
		if w.list.far > 0 && now.Sub(time.Unix(w.state.Far, 0)) >= farEvery {
			back = w.list.far
		}
		if mark := w.state.Mark; mark > 0 && mark < from { // a later one is by a clock that was ahead
			from = mark
		}
		w.state.Recent = &cursor{Began: now.Unix(), Next: from - int64(back/time.Second)}
		if back == w.list.far {
			w.state.Far = now.Unix()
		}
	}
	for {
		done, err := w.step(ctx, w.state.Recent)
		if err != nil {
			return err
		}
		if done {
			break
		}
		if err := w.save(ctx); err != nil {
			return err
		}
	}
	w.state.Mark, w.state.Recent = w.state.Recent.Began, nil
	w.clearError()
	return w.save(ctx)
}

func (w *walk) clearError() { w.state.Error, w.state.ErrorAt = "", 0 }

// fail notes why the list is not read further in this pass.
func (w *walk) fail(ctx context.Context, err error) error {
	w.failed = err
	w.logger.Warn("one of Dodo's lists cannot be read; the next pass continues it", "list", w.list.name, "error", err)
	w.state.Error = strings.ToValidUTF8(err.Error()[:min(len(err.Error()), maxStateError)], "")
	if w.state.ErrorAt == 0 {
		w.state.ErrorAt = w.clock().Unix()
	}
	return w.save(ctx)
}

// save notes how far the list was read. What was kept apart meanwhile is noted first.
func (w *walk) save(ctx context.Context) error {
	if err := w.unread.save(ctx, w.store); err != nil {
		return err
	}
	if len(w.gaps) > 0 || w.gapsNote.text != "" {
		if err := w.gapsNote.save(ctx, w.store, encodeGaps(w.gaps)); err != nil {
			return err
		}
	}
	text, err := json.Marshal(w.state)
	if err != nil {
		return fmt.Errorf("encode how far a list was read: %w", err)
	}
	return w.note.save(ctx, w.store, string(text))
}

// step reads the next window, or makes it smaller. It reports whether the walk has come to its
// end.
func (w *walk) step(ctx context.Context, c *cursor) (done bool, err error) {
	from, to := c.window(w.gaps)
	read, err := w.window(ctx, from, to, !c.sure)
	if err != nil {
		return false, err
	}
	if !read.whole {
		if c.split() {
			return false, nil
		}
		if err := w.addGap(from, to); err != nil {
			return false, err
		}
	}
	c.Pages += int64(read.pages)
	if to == c.end {
		return true, nil
	}
	c.advance(from, to, read.pages)
	return false, nil
}

// window is what is read next; to is 0 for no end. It passes over gaps, which are tried by
// themselves.
func (c *cursor) window(gaps []gap) (from, to int64) {
	from = c.Next
	for again := true; again; {
		again = false
		for _, g := range gaps {
			if g.From <= from && from < g.To {
				from, again = g.To, true
			}
		}
	}
	if c.Step > 0 {
		to = max(from, c.floor()) + c.Step
	}
	if to == 0 || to >= c.Began {
		to = c.end
	}
	for _, g := range gaps {
		if g.From > from && (to == 0 || g.From < to) {
			to = g.From
		}
	}
	return from, to
}

// floor is from where the first window is counted.
func (c *cursor) floor() int64 { return min(dodoBegan, c.Began-1) }

// split makes the next window half as long. It returns false if it is a second long.
func (c *cursor) split() bool {
	if c.Step == 0 || max(c.Next, c.floor())+c.Step > c.Began {
		c.Step = c.Began - max(c.Next, c.floor())
	}
	if c.Step <= 1 {
		return false
	}
	c.Step, c.sure = c.Step/2, false
	return true
}

// advance goes on to the next window, which has about wantedPages if as much is made in it.
func (c *cursor) advance(from, to int64, pages int) {
	c.Next = to
	if to-max(from, c.floor()) < c.Step {
		return // it ended at a gap
	}
	c.sure = pages > 0
	if pages <= wantedPages/longerWindow {
		c.Step *= longerWindow
	} else {
		c.Step = max(1, c.Step*wantedPages/int64(pages))
	}
}

// windowRead is what came of a window.
type windowRead struct {
	pages int
	whole bool // it was read to its end
}

// window reads one window of the list, page by page, up to a page that cannot be read; of a
// second all pages that can be read. If test is set, it is looked first whether the window has
// too many pages.
func (w *walk) window(ctx context.Context, from, to int64, test bool) (windowRead, error) {
	made := dodo.Window{From: second(from), To: second(to)}
	var did windowRead
	missed := false
	for page := 0; page < w.most; page++ {
		last, err := w.page(ctx, made, page)
		switch {
		case err == nil:
			did.pages++
		case endsList(ctx, err):
			return did, err
		case page > 0 && errors.Is(err, dodo.ErrRejected):
			w.most = page // deeper pages are refused
			return did, nil
		default:
			if err := w.answers(ctx); err != nil {
				return did, err
			}
			if missed = true; to == 0 || to-from > 1 {
				return did, nil
			}
			w.logger.Warn("a page of one of Dodo's lists cannot be read; it is tried again later",
				"list", w.list.name, "made", second(from), "page", page, "error", err)
		}
		if last {
			did.whole = !missed
			return did, nil
		}
		if page == 0 && test {
			fits, err := w.fits(ctx, made)
			if err != nil || !fits {
				return did, err
			}
		}
	}
	return did, nil
}

// second is a time of a list; 0 is none.
func second(seconds int64) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// listEnd is an error after which a list is not read further in a pass.
type listEnd struct{ error }

func (e listEnd) Unwrap() error { return e.error }

// endsList reports whether an error is not only about one page.
func endsList(ctx context.Context, err error) bool {
	_, is := errors.AsType[listEnd](err)
	return is || errors.Is(err, dodo.ErrUnauthorized) || endsPass(ctx, err)
}

// page reads one page and applies what is new in it.
func (w *walk) page(ctx context.Context, made dodo.Window, number int) (last bool, err error) {
	var page listPage
	err = w.ask(ctx, func() (err error) {
		page, err = w.list.page(ctx, made, number)
		return err
	})
	if err != nil {
		return false, err
	}
	w.odd(w.list.name, page.odd)
	for _, item := range page.items {
		if err := w.visit(ctx, w, item); err != nil {
			return false, listEnd{err}
		}
	}
	return page.last, nil
}

// fits reports whether a window ends within the pages that are read at once.
func (w *walk) fits(ctx context.Context, made dodo.Window) (bool, error) {
	for {
		var page listPage
		err := w.ask(ctx, func() (err error) {
			page, err = w.list.page(ctx, made, w.most)
			return err
		})
		switch {
		case err == nil:
			return len(page.items)+page.odd == 0, nil
		case endsList(ctx, err):
			return false, err
		case errors.Is(err, dodo.ErrRejected) && w.most > 1:
			w.most /= 2 // so deep a page is refused, in any window
		default:
			return true, nil // it is seen while the window is read
		}
	}
}

// answers asks for what was made in the future. If Dodo answers that, a failure before it was
// that of a page or an object; else the list, or Dodo, is away.
func (w *walk) answers(ctx context.Context) error {
	if w.list.page == nil {
		return nil
	}
	return w.ask(ctx, func() error {
		_, err := w.list.page(ctx, dodo.Window{From: w.clock().Add(fullEvery).UTC()}, 0)
		return err
	})
}
