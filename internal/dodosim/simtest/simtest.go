// Package simtest starts simulators of Dodo for the tests of other packages.
package simtest

import (
	"net/http/httptest"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// New starts a simulator that stops when the test ends.
func New(t testing.TB, options dodosim.Options) *dodosim.Simulator {
	t.Helper()
	sim, err := dodosim.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	return sim
}

// Serve starts a simulator and serves its API at url until the test ends.
func Serve(t testing.TB, options dodosim.Options) (sim *dodosim.Simulator, url string) {
	t.Helper()
	// Close the simulator first, because its server waits for answers that never end.
	var server *httptest.Server
	t.Cleanup(func() {
		if server != nil {
			server.Close()
		}
	})
	sim = New(t, options)
	server = httptest.NewServer(sim)
	return sim, server.URL
}
