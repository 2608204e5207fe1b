package gateway

import (
	"context"
	"time"
)

// WaitedFor is the key of a context's value, a func(time.Duration), that takes the time for
// which [Accounts.View] has waited for Dodo. Most views wait for nobody, and ask for no value.
const WaitedFor waitedFor = 0

type waitedFor int

// noteWait passes on how long somebody has waited for Dodo.
func noteWait(ctx context.Context, waited time.Duration) {
	if note, ok := ctx.Value(WaitedFor).(func(time.Duration)); ok {
		note(waited)
	}
}
