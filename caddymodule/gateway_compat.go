package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/dodogate/dodogate/config"
)

// parseCompat reads:
//
//	compat express | fastapi {
//		parameter  <name>
//		success    <word>
//		cancelled  <word>
//		failed     <word>
//		processing <word>
//	}
func parseCompat(d *caddyfile.Dispenser, target **config.Compat) error {
	c := new(config.Compat)
	var style string
	if err := readOne(d, &style); err != nil {
		return err
	}
	c.Style = config.CompatStyle(style)
	if err := c.Validate(); err != nil {
		return d.WrapErr(err)
	}
	once := seen{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := once.add(d); err != nil {
			return err
		}
		option, known := map[string]*string{
			"parameter": &c.Parameter, "success": &c.Success, "cancelled": &c.Cancelled, "failed": &c.Failed, "processing": &c.Processing,
		}[d.Val()]
		if !known {
			return unknown(d, "compat", "parameter", "success", "cancelled", "failed", "processing")
		}
		if err := readOne(d, option); err != nil {
			return err
		}
		if err := c.Validate(); err != nil {
			return d.WrapErr(err)
		}
	}
	*target = c
	return nil
}
