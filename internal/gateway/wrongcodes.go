package gateway

import "time"

// wrongCodes makes callers pause after discount codes that Dodo refuses. A right code does
// not end the pause: somebody who knows one would use it between the guesses.
type wrongCodes struct {
	counts  map[caller]wrongCodeCount
	sweepAt int
}

// wrongCodeCount is a caller that has tried wrong codes.
type wrongCodeCount struct {
	codes int // how many, with less than forgiven between them
	last  time.Time
}

const (
	// The wrong codes after which pauses begin. Behind one address there may be many
	// people.
	codesOfAccount = 3
	codesOfNetwork = 12
	// The first pause. It doubles with each further wrong code.
	firstCodePause   = 2 * time.Second
	longestCodePause = 5 * time.Minute
	// forgiven is how long after the last wrong code all are forgotten.
	forgiven = 15 * time.Minute
)

func newWrongCodes() wrongCodes {
	return wrongCodes{counts: make(map[caller]wrongCodeCount), sweepAt: fewCallers}
}

// wait is how long it takes until the callers may try another code; 0 is now.
func (w *wrongCodes) wait(now time.Time, c call) (wait time.Duration) {
	for _, who := range callersOf(c) {
		if known, ok := w.counts[who]; ok {
			wait = max(wait, known.pause(who)-now.Sub(known.last))
		}
	}
	return wait
}

func (k wrongCodeCount) pause(who caller) time.Duration {
	begin := codesOfNetwork
	if who.account != "" {
		begin = codesOfAccount
	}
	if k.codes < begin {
		return 0
	}
	pause := firstCodePause
	for i := begin; i < k.codes && pause < longestCodePause; i++ {
		pause *= 2
	}
	return min(pause, longestCodePause)
}

// add notes that a code was wrong.
func (w *wrongCodes) add(now time.Time, c call) {
	for _, who := range callersOf(c) {
		known := w.counts[who]
		if now.Sub(known.last) >= forgiven {
			w.sweep(now)
			known.codes = 0
		}
		w.counts[who] = wrongCodeCount{codes: known.codes + 1, last: now}
	}
}

// sweep forgets what is forgiven. All others have made a call since, so the whole
// budget bounds them.
func (w *wrongCodes) sweep(now time.Time) {
	if len(w.counts) < w.sweepAt {
		return
	}
	for who, known := range w.counts {
		if now.Sub(known.last) >= forgiven {
			delete(w.counts, who)
		}
	}
	w.sweepAt = max(fewCallers, 2*len(w.counts))
}
