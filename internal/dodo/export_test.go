package dodo

import "net/http"

// NewTransport makes a client's own connections, so that a test can say whom they trust.
func NewTransport() *http.Transport { return newTransport() }
