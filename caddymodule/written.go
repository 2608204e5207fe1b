package caddymodule

import (
	"fmt"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Written says where a Caddyfile has a directive. Some faults are found only when the
// whole config is loaded, and then nothing but this leads back to the line.
type Written struct {
	// The file and line of the directive, such as `Caddyfile:12`. The Caddyfile adapter
	// writes it, and messages about the directive name it. It has no other effect.
	// Default: messages name the site alone.
	Caddyfile string `json:"caddyfile,omitempty"`
}

// writtenAt is where the token that d stands on is written.
func writtenAt(d *caddyfile.Dispenser) Written {
	return Written{fmt.Sprintf("%s:%d", d.File(), d.Line())}
}

// locate adds the place to an error, in the words of Caddy's own parser.
func (w Written) locate(err error) error {
	if err == nil || w.Caddyfile == "" {
		return err
	}
	return fmt.Errorf("%w, at %s", err, w.Caddyfile)
}
