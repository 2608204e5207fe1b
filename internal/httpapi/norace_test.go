//go:build !race

package httpapi_test

const thrift = 1
