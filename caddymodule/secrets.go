package caddymodule

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// resolver fills in the placeholders of settings ({env.NAME}, {file./path}) when
// a config is provisioned. What it returns belongs into unexported fields, so
// that a secret is never part of the config that the admin API shows or that is
// saved to disk.
//
// Its err names every setting that could not be filled in, so that a row of
// settings needs one look at it, and whoever begins with a config is told once what
// is missing. It names settings and placeholders, never a value.
type resolver struct {
	repl *caddy.Replacer
	err  error
}

func newResolver() *resolver { return &resolver{repl: caddy.NewReplacer()} }

// lonePlaceholder is a setting that is nothing but a reference, which is safe to
// quote in an error.
var lonePlaceholder = regexp.MustCompile(`^\{(?:env|file)\.[^{}]+\}$`)

// text resolves an optional setting: empty when it is not set. A placeholder
// that is unknown, unset or empty is an error, because whoever wrote it meant
// something.
func (r *resolver) text(setting, value string) string {
	resolved, err := r.repl.ReplaceOrErr(value, true, true)
	if err == nil {
		return resolved
	}
	// err is not passed on: if the value itself has braces, it quotes a part.
	what := "a placeholder in it is unknown or empty; {env.NAME} and {file./path} can be used"
	if lonePlaceholder.MatchString(value) {
		what = value + " is unset or empty"
		if strings.HasPrefix(value, "{file.") {
			what = value + " cannot be read or is empty"
		}
	}
	r.fail(setting + ": " + what)
	return ""
}

// must resolves a required setting.
func (r *resolver) must(setting, value string) string {
	if value == "" {
		r.fail(setting + " is required")
		return ""
	}
	return r.text(setting, value)
}

// list resolves each value of a setting. An empty one is an error.
func (r *resolver) list(setting string, values []string) []string {
	resolved := make([]string, 0, len(values))
	for i, value := range values {
		resolved = append(resolved, r.must(fmt.Sprintf("%s %d", setting, i+1), value))
	}
	return resolved
}

func (r *resolver) fail(what string) {
	if r.err == nil {
		r.err = errors.New(what)
		return
	}
	r.err = fmt.Errorf("%w; %s", r.err, what)
}
