package caddymodule

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/dodogate/dodogate/internal/store/boltstore"
)

func init() {
	caddy.RegisterModule(BoltStore{})
}

// boltKey begins the keys of files in the pool.
const boltKey = "bolt:"

// BoltStore keeps accounts in a file, for a site on one machine. It needs no
// other program. One process can use the file at a time.
type BoltStore struct {
	// The file. It is created, readable by its owner only, where there is none.
	// `{env.NAME}` is filled in. Default: `dodogate/dodogate.db` in Caddy's data
	// directory.
	File string `json:"file,omitempty"`

	path   string // absolute
	key    string // in the pool; empty until acquired
	handle *handle
}

// CaddyModule returns the Caddy module information.
func (BoltStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "dodo.stores.bolt",
		New: func() caddy.Module { return new(BoltStore) },
	}
}

// Provision takes the file's handle from the pool. It does not open the file:
// `caddy validate` comes here, too, while a running server has it locked.
func (s *BoltStore) Provision(caddy.Context) error {
	r := newResolver()
	file := r.text("file", s.File)
	if r.err != nil {
		return r.err
	}
	if file == "" {
		file = filepath.Join(caddy.AppDataDir(), "dodogate", "dodogate.db")
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return fmt.Errorf("file: %w", err)
	}
	if err := boltstore.CheckPath(path); err != nil {
		return fmt.Errorf("store bolt %s: %w", path, err)
	}
	s.path = path
	key := boltKey + path
	if s.handle, err = acquire(key, func(context.Context) (openStore, error) { return openBolt(path) }); err != nil {
		return err
	}
	s.key = key
	return nil
}

// openBolt opens the file; errors name it.
func openBolt(path string) (openStore, error) {
	s, err := boltstore.Open(path, boltstore.Options{Logger: coreLogger(processLogger(storesLog))})
	if err != nil {
		return nil, fmt.Errorf("store bolt: %w", err)
	}
	return s, nil
}

func (s *BoltStore) pooled() *handle { return s.handle }

// Cleanup gives the handle back.
func (s *BoltStore) Cleanup() error { return release(s.key) }

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	store bolt [<file>]
func (s *BoltStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the backend's name
	switch args := d.RemainingArgs(); {
	case len(args) > 1:
		return d.Errf("store bolt takes at most one argument, a file, not %d", len(args))
	case len(args) == 1 && args[0] == "":
		return d.Err("store bolt has an empty argument")
	case len(args) == 1:
		s.File = args[0]
	}
	if d.NextBlock(0) {
		return d.Errf("unrecognized option '%s' of store bolt, which has none", d.Val())
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner     = (*BoltStore)(nil)
	_ caddy.CleanerUpper    = (*BoltStore)(nil)
	_ caddyfile.Unmarshaler = (*BoltStore)(nil)
	_ storeModule           = (*BoltStore)(nil)
)
