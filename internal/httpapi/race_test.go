//go:build race

package httpapi_test

// thrift divides what a test repeats. Where only one thing happens at a time, the
// race detector finds nothing, slowly.
const thrift = 5
