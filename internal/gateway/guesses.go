package gateway

import "time"

// guesses makes callers pause who try discount codes that Dodo refuses. A right
// code forgives nothing: somebody who knows one would use it between the guesses.
type guesses struct {
	wrong   map[caller]guesser
	sweepAt int
}

// guesser is a caller that has tried wrong codes.
type guesser struct {
	codes int // how many, with less than forgiven between them
	last  time.Time
}

const (
	// The wrong codes after which pauses begin. Behind one address there may be many
	// people.
	codesOfAccount = 3
	codesOfNetwork = 12
	// The first pause. It doubles with each further wrong code.
	firstGuessPause = 2 * time.Second
	longestPause    = 5 * time.Minute
	// forgiven is how long after the last wrong code all are forgotten.
	forgiven = 15 * time.Minute
)

func newGuesses() guesses {
	return guesses{wrong: make(map[caller]guesser), sweepAt: fewCallers}
}

// wait is how long it takes until the callers may try another code; 0 is now.
func (g *guesses) wait(now time.Time, c call) (wait time.Duration) {
	for _, who := range callersOf(c) {
		if known, ok := g.wrong[who]; ok {
			wait = max(wait, known.pause(who)-now.Sub(known.last))
		}
	}
	return wait
}

func (k guesser) pause(who caller) time.Duration {
	begin := codesOfNetwork
	if who.account != "" {
		begin = codesOfAccount
	}
	if k.codes < begin {
		return 0
	}
	pause := firstGuessPause
	for i := begin; i < k.codes && pause < longestPause; i++ {
		pause *= 2
	}
	return min(pause, longestPause)
}

// add notes that a code was wrong.
func (g *guesses) add(now time.Time, c call) {
	for _, who := range callersOf(c) {
		known := g.wrong[who]
		if now.Sub(known.last) >= forgiven {
			g.sweep(now)
			known.codes = 0
		}
		g.wrong[who] = guesser{codes: known.codes + 1, last: now}
	}
}

// sweep forgets what is forgiven. All others have made a call since, so the whole
// budget bounds them.
func (g *guesses) sweep(now time.Time) {
	if len(g.wrong) < g.sweepAt {
		return
	}
	for who, known := range g.wrong {
		if now.Sub(known.last) >= forgiven {
			delete(g.wrong, who)
		}
	}
	g.sweepAt = max(fewCallers, 2*len(g.wrong))
}
