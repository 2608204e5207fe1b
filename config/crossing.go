package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// WebSocket is the protocol that clients may always switch to (RFC 6455).
const WebSocket = "websocket"

// upgradeToken is a protocol's name in an Upgrade header, perhaps with a version
// (RFC 9110, 7.8). Registered names need no other characters.
var upgradeToken = regexp.MustCompile(`^[a-z0-9][a-z0-9._+-]{0,63}(/[a-z0-9._+-]{1,16})?$`)

// Upgrades are the protocols that clients may switch to: [WebSocket] and more, in
// lower case.
func Upgrades(more []string) ([]string, error) {
	all := []string{WebSocket}
	for _, token := range more {
		lower := strings.ToLower(token)
		switch {
		case !upgradeToken.MatchString(lower):
			return nil, fmt.Errorf("upgrades %q is not the name of a protocol", token)
		case lower == WebSocket:
			return nil, errors.New("upgrades lists what passes besides websocket, which always passes")
		case slices.Contains(all, lower):
			return nil, fmt.Errorf("upgrades names %s twice", lower)
		}
		all = append(all, lower)
	}
	return all, nil
}

// CheckOrigins refuses trusted_origins that a browser never sends in an Origin
// header, because those would trust nobody (RFC 6454, 6.2).
func CheckOrigins(origins []string) error {
	for i, origin := range origins {
		if err := checkOrigin(origin); err != nil {
			return fmt.Errorf("trusted_origins %q %w", origin, err)
		}
		if slices.Contains(origins[:i], origin) {
			return fmt.Errorf("trusted_origins names %s twice", origin)
		}
	}
	return nil
}

var (
	errOriginForm = errors.New("must be an origin such as https://app.example.com, without a path")
	originForm    = regexp.MustCompile(`^([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?$`)
)

// checkOrigin accepts any scheme: apps in a shell have their own, such as
// capacitor://localhost.
func checkOrigin(origin string) error {
	if len(origin) > 300 || !originForm.MatchString(origin) {
		if lower := strings.TrimSuffix(strings.ToLower(origin), "/"); lower != origin && originForm.MatchString(lower) {
			return fmt.Errorf("is not how browsers write it; write %s", lower)
		}
		return errOriginForm
	}
	u, err := url.Parse(origin)
	if err != nil {
		return errOriginForm
	}
	if port := u.Port(); port == "80" && u.Scheme == "http" || port == "443" && u.Scheme == "https" {
		return fmt.Errorf("is not how browsers write it; write %s", strings.TrimSuffix(origin, ":"+port))
	}
	return nil
}
