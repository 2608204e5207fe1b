package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// How remote keys are kept up to date.
const (
	// refreshAfter is when keys are fetched again although all tokens have a known kid.
	// A key that its issuer has withdrawn is trusted for so long at the most, if the
	// issuer can be reached.
	refreshAfter = 15 * time.Minute
	// fetchPause lies between two fetches, whatever tokens ask for, and retryPause
	// between a failed one and the next.
	fetchPause = 30 * time.Second
	retryPause = 5 * time.Second
	// fetchTimeout bounds one fetch, and maxKeySet its answer.
	fetchTimeout = 5 * time.Second
	maxKeySet    = 1 << 20
)

// keyring has the keys that tokens may be signed with.
type keyring interface {
	// keys are those with the kid. They are empty if there is surely no such key, and an
	// error means that nobody can say.
	keys(ctx context.Context, kid string) ([]*trustedKey, error)
	// tick is called for every request. It must be cheap.
	tick(now time.Time)
}

// fixedKeys are keys of the config.
type fixedKeys []*trustedKey

func (f fixedKeys) keys(_ context.Context, kid string) ([]*trustedKey, error) {
	return pick(f, kid), nil
}

func (fixedKeys) tick(time.Time) {}

// pick finds the keys for a kid: those of this name, or those without a name. A token
// without a kid may be signed with any.
func pick(keys []*trustedKey, kid string) (found []*trustedKey) {
	for _, key := range keys {
		if kid == "" || key.id == "" || key.id == kid {
			found = append(found, key)
		}
	}
	return found
}

// remoteKeys are the keys that an issuer publishes. They are fetched when the first token
// needs them, when a token names a kid that is not among them, and once in a while. If a
// fetch fails, the keys that are known stay.
type remoteKeys struct {
	url    string
	client *http.Client
	clock  func() time.Time
	logger *slog.Logger

	current atomic.Pointer[[]*trustedKey] // nil before the first fetch that went well
	due     atomic.Int64                  // when to fetch anyway, in Unix nanoseconds; 0 is not yet known
	fetches chan struct{}                 // holds one token: who has it may fetch

	mu   sync.Mutex
	next time.Time // no fetch before that
	err  error     // of the last fetch
}

func newRemoteKeys(url string, transport http.RoundTripper, clock func() time.Time, logger *slog.Logger) *remoteKeys {
	k := &remoteKeys{url: url, clock: clock, logger: logger, fetches: make(chan struct{}, 1)}
	k.client = &http.Client{Transport: transport, Timeout: fetchTimeout, CheckRedirect: staysAtHost}
	return k
}

// staysAtHost allows redirects within one host, and none to another or to plain HTTP.
func staysAtHost(r *http.Request, via []*http.Request) error {
	const most = 3
	if first := via[0].URL; len(via) > most || r.URL.Scheme != first.Scheme || r.URL.Host != first.Host {
		return errors.New("redirect to another host")
	}
	return nil
}

// tick fetches in the background when the keys are old.
func (k *remoteKeys) tick(now time.Time) {
	due := k.due.Load()
	if due == 0 || now.UnixNano() < due || !k.due.CompareAndSwap(due, now.Add(fetchPause).UnixNano()) {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
		defer cancel()
		_ = k.refresh(ctx)
	}()
}

func (k *remoteKeys) keys(ctx context.Context, kid string) ([]*trustedKey, error) {
	if found := k.known(kid); len(found) > 0 {
		return found, nil
	}
	err := k.refresh(ctx)
	if found := k.known(kid); len(found) > 0 {
		return found, nil
	}
	return nil, err
}

func (k *remoteKeys) known(kid string) []*trustedKey {
	if keys := k.current.Load(); keys != nil {
		return pick(*keys, kid)
	}
	return nil
}

// refresh fetches the keys, unless that was done a moment ago, and returns how the last
// fetch ended. One caller fetches; the others wait for it. A caller that leaves does not
// end the fetch for the others.
func (k *remoteKeys) refresh(ctx context.Context) error {
	select {
	case k.fetches <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-k.fetches }()
	k.mu.Lock()
	next, last := k.next, k.err
	k.mu.Unlock()
	if k.clock().Before(next) {
		return last
	}
	err := k.fetch(context.WithoutCancel(ctx))
	pause := fetchPause
	if err != nil {
		pause = retryPause
		if last == nil { // one line for an outage
			k.logger.Warn("the issuer's keys could not be fetched; those that are known stay in use", "error", err)
		}
	} else if last != nil {
		k.logger.Info("the issuer's keys can be fetched again")
	}
	now := k.clock()
	k.mu.Lock()
	k.next, k.err = now.Add(pause), err
	k.mu.Unlock()
	return err
}

// fetch reads the keys from the issuer.
func (k *remoteKeys) fetch(ctx context.Context) error {
	keys, err := k.read(ctx)
	if err != nil {
		return fmt.Errorf("read the keys at jwks: %w", err)
	}
	k.replace(keys)
	k.due.Store(k.clock().Add(refreshAfter).UnixNano())
	return nil
}

func (k *remoteKeys) read(ctx context.Context) ([]*trustedKey, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil) //nolint:gosec // the operator's own address
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json, application/jwk-set+json")
	resp, err := k.client.Do(r) //nolint:gosec // the same
	if err != nil {
		return nil, withoutURL(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxKeySet {
		return nil, fmt.Errorf("more than %d bytes", maxKeySet)
	}
	return parseKeySet(text)
}

// replace takes the keys of a fetch. A key that is there again stays the same, and what is
// remembered of its tokens with it.
func (k *remoteKeys) replace(keys []*trustedKey) {
	old := k.current.Load()
	if old == nil {
		k.current.Store(&keys)
		return
	}
	for _, before := range *old {
		stays := false
		for i, key := range keys {
			if key.name == before.name && key.id == before.id && key.algorithm == before.algorithm {
				keys[i], stays = before, true
			}
		}
		if !stays {
			defer before.gone.Store(true) // after the new set is in place
		}
	}
	k.current.Store(&keys)
}
