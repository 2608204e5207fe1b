// Package freeport finds ports for the servers that tests and benchmarks start.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// The ports to choose from. Those above are what systems give to outgoing
// connections: one that is free now may be taken by the next connection of
// another test, before the server listens.
const (
	lowest  = 15000
	highest = 32000
)

// Get returns a port of 127.0.0.1 on which nobody listens.
func Get(t testing.TB) string {
	t.Helper()
	port, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Find is Get outside of tests.
func Find() (string, error) {
	for range 100 {
		port := fmt.Sprint(lowest + rand.IntN(highest-lowest)) //nolint:gosec // nobody gains by guessing
		l, err := net.Listen("tcp", "127.0.0.1:"+port)         //nolint:noctx // nothing to wait for
		if err != nil {
			continue
		}
		_ = l.Close()
		return port, nil
	}
	return "", errors.New("found no free port")
}
