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

// The schedule and bounds of fetching remote keys.
const (
	// refreshAfter is when keys are fetched again even if all tokens have a known kid. A key
	// that its issuer has withdrawn stays trusted for at most this long, if the issuer can be
	// reached.
	refreshAfter = 15 * time.Minute
	// fetchPause is the shortest time between two fetches, whatever tokens ask for, and
	// retryPause the time after a failed one.
	fetchPause = 30 * time.Second
	retryPause = 5 * time.Second
	// fetchTimeout bounds one fetch, and maxKeySet the bytes of its answer.
	fetchTimeout = 5 * time.Second
	maxKeySet    = 1 << 20
)

// keyring holds the keys that verify tokens.
type keyring interface {
	// keys returns those that fit the kid. It returns none if there is certainly no such key,
	// and an error if that is unknown.
	keys(ctx context.Context, kid string) ([]*trustedKey, error)
	// refreshIfOld is called for every request. It must be cheap.
	refreshIfOld(now time.Time)
}

// fixedKeys are keys from the config.
type fixedKeys []*trustedKey

func (f fixedKeys) keys(_ context.Context, kid string) ([]*trustedKey, error) {
	return keysFor(f, kid), nil
}

func (fixedKeys) refreshIfOld(time.Time) {}

// keysFor returns the keys for a kid: those with this kid and those without one. For a token
// without a kid it returns all.
func keysFor(keys []*trustedKey, kid string) (found []*trustedKey) {
	for _, key := range keys {
		if kid == "" || key.id == "" || key.id == kid {
			found = append(found, key)
		}
	}
	return found
}

// remoteKeys are the keys that an issuer publishes. They are fetched when the first token
// needs them, when a token names an unknown kid, and at regular intervals. If a fetch fails,
// the known keys stay in use.
type remoteKeys struct {
	url    string
	client *http.Client
	clock  func() time.Time
	logger *slog.Logger

	current    atomic.Pointer[[]*trustedKey] // nil before the first successful fetch
	refreshDue atomic.Int64                  // when to fetch anyway, in Unix nanoseconds; 0 before the first fetch
	fetchLock  chan struct{}                 // a lock that respects contexts: holds one token while a fetch runs

	mu        sync.Mutex
	notBefore time.Time // earliest next fetch
	err       error     // result of the last fetch
}

func newRemoteKeys(url string, transport http.RoundTripper, clock func() time.Time, logger *slog.Logger) *remoteKeys {
	k := &remoteKeys{url: url, clock: clock, logger: logger, fetchLock: make(chan struct{}, 1)}
	k.client = &http.Client{Transport: transport, Timeout: fetchTimeout, CheckRedirect: onlySameHost}
	return k
}

// onlySameHost allows redirects within one host and scheme, and no others.
func onlySameHost(r *http.Request, via []*http.Request) error {
	const maxRedirects = 3
	if first := via[0].URL; len(via) > maxRedirects || r.URL.Scheme != first.Scheme || r.URL.Host != first.Host {
		return errors.New("redirect to another host")
	}
	return nil
}

// refreshIfOld fetches in the background if the keys are old.
func (k *remoteKeys) refreshIfOld(now time.Time) {
	due := k.refreshDue.Load()
	if due == 0 || now.UnixNano() < due || !k.refreshDue.CompareAndSwap(due, now.Add(fetchPause).UnixNano()) {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
		defer cancel()
		_ = k.refresh(ctx)
	}()
}

func (k *remoteKeys) keys(ctx context.Context, kid string) ([]*trustedKey, error) {
	if found := k.cached(kid); len(found) > 0 {
		return found, nil
	}
	err := k.refresh(ctx)
	if found := k.cached(kid); len(found) > 0 {
		return found, nil
	}
	return nil, err
}

func (k *remoteKeys) cached(kid string) []*trustedKey {
	if keys := k.current.Load(); keys != nil {
		return keysFor(*keys, kid)
	}
	return nil
}

// refresh fetches the keys, unless that was done a moment ago, and returns the result of the
// last fetch. One caller fetches; the others wait for it. The fetch continues if its caller
// leaves.
func (k *remoteKeys) refresh(ctx context.Context) error {
	select {
	case k.fetchLock <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-k.fetchLock }()
	k.mu.Lock()
	next, last := k.notBefore, k.err
	k.mu.Unlock()
	if k.clock().Before(next) {
		return last
	}
	err := k.fetch(context.WithoutCancel(ctx))
	pause := fetchPause
	if err != nil {
		pause = retryPause
		if last == nil { // log one line for each outage
			k.logger.Warn("the issuer's keys could not be fetched; those that are known stay in use", "error", err)
		}
	} else if last != nil {
		k.logger.Info("the issuer's keys can be fetched again")
	}
	now := k.clock()
	k.mu.Lock()
	k.notBefore, k.err = now.Add(pause), err
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
	k.refreshDue.Store(k.clock().Add(refreshAfter).UnixNano())
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
		return nil, stripURL(err)
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

// replace stores the keys of a fetch. A key that is fetched again keeps its object, so that
// cached verdicts about its tokens stay valid.
func (k *remoteKeys) replace(keys []*trustedKey) {
	old := k.current.Load()
	if old == nil {
		k.current.Store(&keys)
		return
	}
	for _, before := range *old {
		kept := false
		for i, key := range keys {
			if key.thumbprint == before.thumbprint && key.id == before.id && key.algorithm == before.algorithm {
				keys[i], kept = before, true
			}
		}
		if !kept {
			defer before.untrusted.Store(true) // after the new set is in place
		}
	}
	k.current.Store(&keys)
}
