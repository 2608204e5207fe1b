package caddymodule_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A client can end any answer by not reading it: the app's own time limit cuts the
// stream then. What it has received by then is paid for, with a price that was to come
// as a trailer. An answer that the app breaks off before its body is not.
func TestStalledClientPays(t *testing.T) {
	cut := make(chan struct{}, 1) // the app could not write
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Charge-Credits")
		if r.URL.Path == "/nothing" {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		part := bytes.Repeat([]byte("paid"), 64<<10)
		for range 256 { // 64 MiB, more than all buffers on the way
			if _, err := w.Write(part); err != nil {
				cut <- struct{}{}
				panic(http.ErrAbortHandler)
			}
		}
		w.Header().Set("X-Charge-Credits", "9")
	}))
	app.Config.WriteTimeout = 500 * time.Millisecond
	app.Start()
	defer app.Close()
	b := newSecureBench(t)
	b.mustLoad(everyProtocol(rich(usualDodo), "", usualGateway+`
	dodo_charge 2 {
		max 10
	}
	reverse_proxy `+strings.TrimPrefix(app.URL, "http://")))
	for _, f := range b.fronts() {
		resp, err := f.client.Do(f.request(t, "GET", "/", "X-Test-User: "+f.name, "", ""))
		if err != nil {
			t.Fatal(f.name, err)
		}
		first := make([]byte, 4)
		if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "paid" {
			t.Errorf("%s: %q %v", f.name, first, err)
		}
		await(t, cut)
		if _, err := io.Copy(io.Discard, resp.Body); err == nil {
			t.Errorf("%s: the answer is whole", f.name)
		}
		resp.Body.Close()
		b.leaves(f.name, 98)

		resp, err = f.client.Do(f.request(t, "GET", "/nothing", "X-Test-User: "+f.name, "", ""))
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: an empty answer is whole", f.name)
		}
		b.leaves(f.name, 98)
	}
}

// await waits for a signal, and not for ever.
func await(t *testing.T, signal <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	select {
	case <-signal:
	case <-ctx.Done():
		t.Fatal(fmt.Errorf("nothing happens: %w", ctx.Err()))
	}
}
