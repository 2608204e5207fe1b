package redisstore

import (
	"strconv"
	"time"

	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store/record"
)

// words are keys and arguments of a script, which are written behind each other into one
// text: a charge has forty of them, and each would be a piece of memory. What adds to
// words returns them, as append does.
type words struct {
	text []byte
	ends []int
}

// newWords has room for those of most holds, on the caller's stack.
func newWords() words { return words{text: make([]byte, 0, 768), ends: make([]int, 0, 32)} }

// joined adds a word that is made of parts.
func (w words) joined(parts ...string) words {
	for _, part := range parts {
		w.text = append(w.text, part...)
	}
	return w.end()
}

// add adds words.
func (w words) add(list ...string) words {
	for _, word := range list {
		w = w.joined(word)
	}
	return w
}

// int adds a number in digits.
func (w words) int(n int64) words {
	w.text = strconv.AppendInt(w.text, n, 10)
	return w.end()
}

// time adds an instant, as [record.Millis] writes it.
func (w words) time(t time.Time) words {
	w.text = record.AppendMillis(w.text, t)
	return w.end()
}

// grant adds a grant, as [record.Grant] writes it.
func (w words) grant(g ledger.Grant) words {
	w.text = record.AppendGrant(w.text, g)
	return w.end()
}

func (w words) end() words {
	w.ends = append(w.ends, len(w.text))
	return w
}

// len is how many there are.
func (w words) len() int { return len(w.ends) }

// texts are the words.
func (w words) texts() []string {
	all, from, texts := string(w.text), 0, make([]string, len(w.ends))
	for i, to := range w.ends {
		texts[i], from = all[from:to], to
	}
	return texts
}
