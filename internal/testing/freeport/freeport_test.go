package freeport_test

import (
	"net"
	"testing"

	"github.com/dodogate/dodogate/internal/testing/freeport"
)

func TestGet(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:"+freeport.Get(t))
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}
