package caddymodule

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// chargedStatuses is what charge_on and release_on say together.
func chargedStatuses(on, off []string) (func(status int) bool, error) {
	charge, err := statuses(on)
	if err != nil {
		return nil, fmt.Errorf("charge_on: %w", err)
	}
	release, err := statuses(off)
	if err != nil {
		return nil, fmt.Errorf("release_on: %w", err)
	}
	if len(on) == 0 {
		charge = func(status int) bool { return status == http.StatusSwitchingProtocols || status >= 200 && status < 400 }
	}
	return func(status int) bool { return charge(status) && !release(status) }, nil
}

// statuses reads a list of statuses and classes of them.
func statuses(list []string) (func(status int) bool, error) {
	var single [1000]bool
	for _, text := range list {
		digit, class := strings.CutSuffix(strings.ToLower(text), "xx")
		n, err := strconv.Atoi(digit)
		switch {
		case err == nil && class && len(digit) == 1 && n >= 1 && n <= 5:
			for status := n * 100; status < n*100+100; status++ {
				single[status] = true
			}
		case err == nil && !class && len(digit) == 3 && n >= 100 && n <= 599:
			single[n] = true
		default:
			return nil, fmt.Errorf("'%s' is not a status such as 200 or 2xx", text)
		}
	}
	return func(status int) bool { return status >= 0 && status < len(single) && single[status] }, nil
}
