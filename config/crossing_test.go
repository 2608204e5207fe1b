package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/config"
)

func TestUpgrades(t *testing.T) {
	for _, tt := range []struct {
		more, want string
		refused    string
	}{
		{more: "", want: "websocket"},
		{more: "tcp Echo/2 connect-udp", want: "websocket tcp echo/2 connect-udp"},
		{more: "websocket", refused: "always passes"},
		{more: "WebSocket", refused: "always passes"},
		{more: "tcp TCP", refused: "twice"},
		{more: "*", refused: "not the name"},
		{more: "tcp,h2c", refused: "not the name"},
		{more: "{env.X}", refused: "not the name"},
		{more: "tcp/", refused: "not the name"},
		{more: "web\u017focket", refused: "not the name"},
	} {
		got, err := config.Upgrades(strings.Fields(tt.more))
		if tt.refused != "" {
			if err == nil || !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("%q: %v %v, want %q", tt.more, got, err, tt.refused)
			}
			continue
		}
		if err != nil || !slices.Equal(got, strings.Fields(tt.want)) {
			t.Errorf("%q: %v %v", tt.more, got, err)
		}
	}
}

func TestCheckOrigins(t *testing.T) {
	good := []string{
		"https://app.example.com", "http://localhost:3000", "https://[::1]:8443", "capacitor://localhost",
		"chrome-extension://abcdefghijklmnop", "https://xn--bcher-kva.example",
	}
	if err := config.CheckOrigins(good); err != nil {
		t.Error(err)
	}
	for origin, want := range map[string]string{
		"https://App.example.com":     "write https://app.example.com",
		"https://app.example.com/":    "write https://app.example.com",
		"https://app.example.com:443": "write https://app.example.com",
		"http://app.example.com:80":   "write http://app.example.com",
		"https://app.example.com/x":   "without a path",
		"https://app.example.com?x":   "without a path",
		"app.example.com":             "must be an origin",
		"null":                        "must be an origin",
		"*":                           "must be an origin",
		"https://*.example.com":       "must be an origin",
		"https://user@example.com":    "must be an origin",
		"https://bücher.example":      "must be an origin",
		"https://{host}":              "must be an origin",
		"":                            "must be an origin",
	} {
		if err := config.CheckOrigins([]string{origin}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", origin, err, want)
		}
	}
	if err := config.CheckOrigins([]string{"https://a.example", "https://a.example"}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("the same twice: %v", err)
	}
}
