package dodo_test

import (
	"context"
	"errors"
	"testing"

	"github.com/dodogate/dodogate/internal/dodo"
)

// TestAdmit: every attempt is asked for, repeats too. Without leave for the first, no
// call is made; without leave for a repeat, the answer to the first counts.
func TestAdmit(t *testing.T) {
	errFull := errors.New("no more calls")
	for name, c := range map[string]struct {
		allowed int
		want    error
		calls   int
	}{
		"none":    {0, errFull, 0},
		"one":     {1, dodo.ErrUnavailable, 1},
		"repeats": {3, dodo.ErrUnavailable, 3},
	} {
		t.Run(name, func(t *testing.T) {
			left := c.allowed
			s := newStub(t, func(o *dodo.Options) {
				o.Admit = func(context.Context) error {
					if left--; left < 0 {
						return errFull
					}
					return nil
				}
			}, answer(503, `{}`))
			if _, err := s.client.Session(t.Context(), "cks_1"); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if n := len(s.seen()); n != c.calls {
				t.Errorf("%d calls, want %d", n, c.calls)
			}
		})
	}
}
