package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// SiteID tells the orders of this store from those of other stores that share the
// business at Dodo. The zero value leaves it to the store, which makes an id of its
// own when it is first used.
type SiteID struct {
	// ID is the site's: up to 64 letters, digits, "-", "_". It is written down so that
	// a store that was lost can be given it back. A store that has another one is
	// refused. Default: the store's own.
	ID string `json:"id,omitempty"`
	// Also are the ids of other sites whose orders count here, too: of a store that
	// was lost before its id was written down. No store that is in use may have one of
	// them. Default: none.
	Also []string `json:"also,omitempty"`
	// Unnamed counts all orders of releases that named no site, whichever store made
	// them. Default: only those that this store knows.
	Unnamed bool `json:"unnamed,omitempty"`
}

const unnamed = "unnamed"

var siteID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Validate accepts the zero value.
func (s SiteID) Validate() error {
	for _, id := range append([]string{s.ID}, s.Also...) {
		if id != "" && !siteID.MatchString(id) || id == "" && len(s.Also) > 0 {
			return fmt.Errorf("site %q must be 1 to 64 letters, digits, '-' or '_'", id)
		}
	}
	if s.ID == unnamed || slices.Contains(s.Also, unnamed) {
		return errors.New("site cannot be called unnamed, the word for orders that name none")
	}
	if slices.Contains(s.Also, s.ID) {
		return errors.New("site: also names the site itself")
	}
	return nil
}

// Has reports whether the orders of a site count here. own is the store's id.
func (s SiteID) Has(own, id string) bool {
	if id == "" {
		return s.Unnamed
	}
	return id == own || slices.Contains(s.Also, id)
}

var businessID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// CheckBusiness says what is wrong with Dodo's id of a business.
func CheckBusiness(id string) error {
	if !businessID.MatchString(id) {
		return fmt.Errorf("business %q is not an id of a business at Dodo (bus_…)", id)
	}
	return nil
}
