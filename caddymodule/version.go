package caddymodule

import "runtime/debug"

const modulePath = "github.com/dodogate/dodogate"

// stamped is the version that cmd/build writes into the binary by the linker.
var stamped string

// Version is the version of dodogate in this binary: as it was stamped, or as the go command
// noted it. A build from a folder is "devel", or the version that git gives the commit.
func Version() string {
	if stamped != "" {
		return stamped
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, module := range append(info.Deps, &info.Main) {
		if module.Path != modulePath {
			continue
		}
		if module.Replace != nil {
			module = module.Replace
		}
		if module.Version != "" && module.Version != "(devel)" {
			return module.Version
		}
	}
	return "devel"
}
