package book_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
)

func TestLimits(t *testing.T) {
	for id, want := range map[string]bool{"": false, "a": true, strings.Repeat("a", 256): true, strings.Repeat("a", 257): false} {
		if err := book.CheckAccount(id); (err == nil) != want {
			t.Errorf("an account id of %d bytes: %v", len(id), err)
		}
	}
	if err := book.CheckNames("", strings.Repeat("a", 1025)); err == nil {
		t.Error("a name of 1,025 bytes was accepted")
	}
	if _, err := book.Time(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)); err == nil {
		t.Error("the year 10000 was accepted")
	}
}
