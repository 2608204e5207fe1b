package caddymodule

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/dodogate/dodogate/internal/dodo"
)

// modeWord is the word that a word of another program stands for.
func (a *App) modeWord(word string) string {
	if mode, ok := a.EnvironmentWords[word]; ok {
		return string(mode)
	}
	return word
}

func (a *App) validateEnvironmentWords() error {
	for word, mode := range a.EnvironmentWords {
		if err := checkModeWord(word, mode); err != nil {
			return err
		}
	}
	return nil
}

func checkModeWord(word string, mode dodo.Mode) error {
	switch {
	case word == string(dodo.TestMode), word == string(dodo.LiveMode):
		return fmt.Errorf("environment: %s means itself", word)
	case mode != dodo.TestMode && mode != dodo.LiveMode:
		return fmt.Errorf("environment: %s must stand for %s or %s, not '%s'", word, dodo.TestMode, dodo.LiveMode, mode)
	}
	return nil
}

// modeOf reads the environment, and refuses addresses of the API that would send
// the key in the clear or into Dodo's other world.
func modeOf(environment, baseURL string) (dodo.Mode, error) {
	mode, other := dodo.TestMode, dodo.LiveMode
	switch environment {
	case "", string(dodo.TestMode):
	case string(dodo.LiveMode):
		mode, other = dodo.LiveMode, dodo.TestMode
	default:
		return "", fmt.Errorf("environment must be %s or %s", dodo.TestMode, dodo.LiveMode)
	}
	if baseURL == "" {
		return mode, nil
	}
	u, err := url.Parse(baseURL)
	switch {
	case err != nil, u.Hostname() == "":
		return "", errors.New("base_url is not an absolute http or https address") // not err, which quotes it
	case u.Scheme != "https" && !isLoopback(u.Hostname()):
		return "", errors.New("base_url must begin with https://, or the API key would travel in the clear; only a loopback host may do without")
	case strings.EqualFold(u.Hostname(), hostOf(other)):
		return "", fmt.Errorf("base_url is Dodo's %s, but the environment is %s", other, mode)
	}
	return mode, nil
}

// hostOf is where Dodo serves a mode (FACTS 1.1).
func hostOf(mode dodo.Mode) string {
	return strings.TrimSuffix(string(mode), "_mode") + ".dodopayments.com"
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
