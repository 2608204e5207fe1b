package gateway

import (
	"context"
	"errors"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// listed is an object as a list shows it.
type listed struct {
	ref    entitlement.Ref
	clues  dodo.Clues
	isNews func(known entitlement.Record) bool // merging it would change what is known
	fact   *dodo.Fact                          // if the list says all there is
}

// errUnreadFull says that too many objects cannot be read.
var errUnreadFull = errors.New("too many objects cannot be read or applied; the log names them")

// visit applies what a list shows of an object that is not known. An error is that of the whole
// list or pass; what concerns the object alone keeps it apart.
func (r *reconciliation) visit(ctx context.Context, w *walk, o listed) error {
	r.Seen++
	known, ours, err := r.known(ctx, o.ref, o.clues)
	switch {
	case err != nil && endsPass(ctx, err):
		return err
	case err != nil:
		return r.keepApart(o.ref, err)
	case !ours || !o.isNews(known):
		return nil
	case o.fact != nil:
		return r.applyListed(ctx, o)
	}
	return r.reread(ctx, w, o.ref)
}

func (r *reconciliation) applyListed(ctx context.Context, o listed) error {
	err := r.applyFact(ctx, *o.fact)
	if err == nil || endsPass(ctx, err) {
		return err
	}
	r.Unapplied++
	r.logger.Warn("an object in Dodo's lists cannot be applied", "object", o.ref.String(), "error", err)
	return nil // it is listed in every pass
}

// reread reads an object of a list at Dodo and applies it, unless that was done in this pass or
// the object is kept apart; a rebuild reads that, too. An error is that of the whole list or pass.
func (r *reconciliation) reread(ctx context.Context, w *walk, ref entitlement.Ref) error {
	name := ref.String()
	if _, apart := r.unread.byRef[name]; apart && !r.all || r.done[name] {
		return nil
	}
	if len(r.done) >= maxDone {
		clear(r.done)
	}
	r.done[name] = true
	err := r.read(ctx, ref)
	if err == nil {
		r.unread.forget(name)
		return nil
	}
	if endsPass(ctx, err) || errors.Is(err, dodo.ErrUnauthorized) {
		return err
	}
	if r.silent >= maxSilent {
		if err := w.answers(ctx); err != nil {
			return err
		}
		r.silent = 0
	}
	return r.keepApart(ref, err)
}

// read reads an object at Dodo and applies it.
func (r *reconciliation) read(ctx context.Context, ref entitlement.Ref) error {
	r.Read++
	var fact dodo.Fact
	err := r.ask(ctx, func() (err error) {
		fact, err = r.readAt(ctx, ref)
		return err
	})
	switch {
	case err == nil:
		r.silent = 0
		return r.applyFact(ctx, fact)
	case errors.Is(err, dodo.ErrUnavailable):
		r.silent++
	default:
		r.silent = 0
	}
	return err
}

// keepApart notes that an object could not be read or applied. Later passes try it again.
func (r *reconciliation) keepApart(ref entitlement.Ref, err error) error {
	r.Unapplied++
	r.logger.Warn("an object in Dodo's lists cannot be read; it is tried again later", "object", ref.String(), "error", err)
	if !r.unread.failed(ref.String(), r.clock()) {
		return errUnreadFull
	}
	return nil
}

// retryUnread tries objects again that were kept apart. An API key that is refused, or a Dodo
// that is away, is left for the lists to find out.
func (r *reconciliation) retryUnread(ctx context.Context) error {
	due := r.unread.due(r.clock())
	for _, ref := range due[:min(len(due), maxRetries)] {
		name := ref.String()
		r.done[name] = true
		err := r.read(ctx, ref)
		switch {
		case err == nil:
			r.unread.forget(name)
		case endsPass(ctx, err):
			return err
		case errors.Is(err, dodo.ErrUnauthorized), r.silent >= maxSilent:
			r.silent = 0
			return r.unread.save(ctx, r.store)
		case r.unread.byRef[name].tries >= mostTries:
			r.logger.Warn("an object in Dodo's lists could not be read for weeks and is given up; a rebuild tries it again",
				"object", name, "error", err)
			r.unread.forget(name)
		default:
			r.Unapplied++
			r.unread.failed(name, r.clock())
		}
	}
	return r.unread.save(ctx, r.store)
}

// applyFact applies what Dodo says.
func (r *reconciliation) applyFact(ctx context.Context, fact dodo.Fact) error {
	result, err := r.apply(ctx, fact, reconcileMark, nil)
	switch {
	case r.noteDamaged(err):
		r.Unapplied++
	case err != nil:
		return err
	case result.outcome == Applied:
		r.Applied++
	case result.outcome == Foreign:
		r.countForeign("")
	case result.outcome == Parked:
		r.Unapplied++
		r.logger.Warn("a fact that was read cannot be applied", "object", fact.Ref.String(), "reason", result.reason)
	}
	return nil
}

// odd counts items of a list that do not say what they are. They are left to the
// operator; they must not hold up the others.
func (r *reconciliation) odd(list ListName, n int) {
	if n == 0 {
		return
	}
	r.Seen += n
	r.Unapplied += n
	r.logger.Warn("one of Dodo's lists has items that do not say what they are", "list", list, "items", n)
}
