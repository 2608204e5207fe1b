package redisstore

import (
	"context"
	crand "crypto/rand"
	"errors"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/store"
)

const (
	// beatInterval is how often the listener makes sure that it still hears.
	beatInterval = time.Second
	// The pause between two subscriptions that fail, which doubles, and half of
	// which is random.
	minPause = 50 * time.Millisecond
	maxPause = 2 * time.Second
)

// listener is the goroutine that hears of changes. It begins with the first
// watcher and ends with the store.
type listener struct {
	ctx  context.Context //nolint:containedctx // of the goroutine
	end  context.CancelFunc
	done sync.WaitGroup
	// again is full when changes are heard after they were not.
	again chan struct{}
}

// Watch implements [store.Changes].
func (s *Store) Watch(w store.Watcher) (stop func()) {
	stop = s.watchers.Watch(w)
	s.listening.Do(func() {
		s.listener.done.Go(s.listen)
		s.listener.done.Go(func() { s.followHistory(s.listener.ctx) })
	})
	return stop
}

// stopListening ends the listener, or keeps it from beginning.
func (s *Store) stopListening() {
	s.listener.end()
	s.listening.Do(func() {})
	s.listener.done.Wait()
	s.watchers.End()
}

// listen follows one subscription after the other.
func (s *Store) listen() {
	ctx, pause, again := s.listener.ctx, minPause, false
	for {
		heard, err := s.follow(ctx, again)
		s.watchers.Lost()
		if ctx.Err() != nil {
			return
		}
		if heard {
			pause, again = minPause, true
			s.log.Warn("redis: changes are not heard for now", "addrs", s.conn.Addrs(), "error", s.conn.Redact(err))
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2)) //nolint:gosec // nobody gains by guessing
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		pause = min(2*pause, maxPause)
	}
}

var (
	errSilence = errors.New("what we publish does not come back")
	errEnded   = errors.New("the server ended the subscription")
)

// follow subscribes and tells the watchers what it hears, until something goes
// wrong or ctx ends. It reports whether it heard anything; again says that it did before.
//
// A subscription alone proves little. Its connection may hang for minutes without
// an error, or lead to a server that was replaced by a Sentinel, or to a node
// that its Cluster has cut off: nothing would ever come, and nothing be missed in
// it. So the listener publishes something on a channel of its own, by the way that
// commands take, and believes in the subscription as long as that comes back.
func (s *Store) follow(ctx context.Context, again bool) (heard bool, err error) {
	f := &following{
		Store: s, sub: s.client.Subscribe(ctx), own: s.changes + ":" + crand.Text(),
		silence: beatInterval + 2*s.timeout, again: again,
	}
	ctx, cancel := context.WithCancel(ctx)
	var beats sync.WaitGroup
	defer func() {
		cancel()
		beats.Wait()
		_ = f.sub.Close()
	}()
	// Only closing interrupts a read.
	defer context.AfterFunc(ctx, func() { _ = f.sub.Close() })()

	subscribing, cancelSubscribing := context.WithTimeout(ctx, s.conn.DialTimeout())
	defer cancelSubscribing()
	if err := f.sub.Subscribe(subscribing, s.changes, f.own); err != nil {
		return false, err
	}
	f.beat = time.Now()
	for err == nil {
		err = f.receive(ctx)
		if err == nil && f.confirmed == 2 && !f.beating {
			f.beating = true
			beats.Go(func() { s.beat(ctx, f.own) })
		}
	}
	return f.live, err
}

// following is one subscription.
type following struct {
	*Store
	sub       *redis.PubSub
	own       string        // channel of the beats
	silence   time.Duration // after which it is not believed
	confirmed int           // channels that the server has confirmed
	beating   bool
	beat      time.Time // when the last one came back
	live      bool
	again     bool // there was a live one before
}

// receive waits for one message.
func (f *following) receive(ctx context.Context) error {
	left := time.Until(f.beat.Add(f.silence))
	if left <= 0 {
		return errSilence
	}
	// When the connection fails, go-redis would make a new one and subscribe again
	// before it tells of that, and the watchers would not know meanwhile. With a
	// context that has ended it cannot; reading goes by the timeout alone.
	message, err := f.sub.ReceiveTimeout(ended, left)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	}
	switch m := message.(type) {
	case *redis.Subscription:
		if m.Kind != "subscribe" {
			return errEnded
		}
		f.confirmed++
	case *redis.Message:
		if m.Channel == f.own {
			f.hears()
			return nil
		}
		if account, rev, ok := parseChange(m.Payload); ok {
			f.watchers.Changed(account, rev)
		}
	}
	return nil
}

// hears notes that what we publish comes back.
func (f *following) hears() {
	isBack := !f.live && f.again
	if isBack {
		f.log.Info("redis: changes are heard again", "addrs", f.conn.Addrs())
	}
	f.beat, f.live = time.Now(), true
	f.watchers.Live()
	if !isBack {
		return
	}
	select {
	case f.listener.again <- struct{}{}:
	default:
	}
}

// ended is a context that has ended.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// beat publishes on the channel until ctx ends. What fails is noticed where it
// does not come back.
func (s *Store) beat(ctx context.Context, channel string) {
	ticker := time.NewTicker(beatInterval)
	defer ticker.Stop()
	for {
		limited, cancel := context.WithTimeout(ctx, s.timeout)
		_ = s.client.Publish(limited, channel, "").Err()
		cancel()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// parseChange reads what the scripts publish.
func parseChange(text string) (account string, rev int64, ok bool) {
	number, name, ok := strings.Cut(text, " ")
	if !ok {
		return "", 0, false
	}
	rev, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return "", 0, false
	}
	account, err = url.QueryUnescape(name)
	return account, rev, err == nil
}
